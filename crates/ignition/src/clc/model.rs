//! The objects of a Container Linux Config, named as in the YAML.

use super::options::{Etcd, Flannel};
use crate::decode::inputs;
pub(crate) use crate::fuze::model::{ConfigReference as Reference, IgnitionConfig, Verification};
pub(crate) use crate::v1::{Dropin, Group, UserCreate};

inputs! {
    /// A Container Linux Config.
    pub struct Config {
        /// Only 0.
        version: i64 = "version";
        /// Ignition itself.
        ignition: Ignition = "ignition";
        /// Disks and files.
        storage: Storage = "storage";
        /// Units of systemd.
        systemd: Systemd = "systemd";
        /// Units of networkd.
        networkd: Networkd = "networkd";
        /// Users and groups.
        passwd: Passwd = "passwd";
        /// etcd as a unit.
        etcd: Option<Etcd> = "etcd";
        /// flannel as a unit.
        flannel: Option<Flannel> = "flannel";
        /// Updates of the system.
        update: Option<Update> = "update";
        /// Docker's options.
        docker: Option<Docker> = "docker";
        /// Reboots after updates.
        locksmith: Option<Locksmith> = "locksmith";
    }
    /// Ignition itself.
    pub struct Ignition {
        /// Other configs.
        config: IgnitionConfig = "config";
        /// Time-outs.
        timeouts: Timeouts = "timeouts";
        /// Trust.
        security: Security = "security";
    }
    /// Time-outs of fetching, in seconds.
    pub struct Timeouts {
        /// Until the headers of a response are there.
        http_response_headers: Option<i64> = "http_response_headers";
        /// Until a response is complete.
        http_total: Option<i64> = "http_total";
    }
    /// Trust.
    pub struct Security {
        /// TLS.
        tls: Tls = "tls";
    }
    /// Trust in TLS servers.
    pub struct Tls {
        /// Certificates.
        certificate_authorities: Vec<Reference> = "certificate_authorities";
    }
    /// Disks and files.
    pub struct Storage {
        /// Disks.
        disks: Vec<Disk> = "disks";
        /// Software arrays.
        raid: Vec<Raid> = "raid";
        /// Filesystems.
        filesystems: Vec<Filesystem> = "filesystems";
        /// Files.
        files: Vec<File> = "files";
        /// Directories.
        directories: Vec<Directory> = "directories";
        /// Links.
        links: Vec<Link> = "links";
    }
    /// A disk to partition.
    pub struct Disk {
        /// Absolute path of the device.
        device: String = "device";
        /// Whether to erase the partition table.
        wipe_table: bool = "wipe_table";
        /// Partitions.
        partitions: Vec<Partition> = "partitions";
    }
    /// A partition; sizes are like `1GiB`, whole MiB.
    pub struct Partition {
        /// GPT label.
        label: Option<String> = "label";
        /// Number.
        number: i64 = "number";
        /// Size.
        size: String = "size";
        /// Start.
        start: String = "start";
        /// GUID.
        guid: String = "guid";
        /// GUID or name of its type.
        type_guid: String = "type_guid";
    }
    /// A software array.
    pub struct Raid {
        /// Name.
        name: String = "name";
        /// Level.
        level: String = "level";
        /// Devices.
        devices: Vec<String> = "devices";
        /// Number of spare devices.
        spares: i64 = "spares";
        /// Arguments for mdadm.
        options: Vec<String> = "options";
    }
    /// A filesystem: `mount` or `path`.
    pub struct Filesystem {
        /// The name files refer to.
        name: String = "name";
        /// A filesystem on a device.
        mount: Option<Mount> = "mount";
        /// A filesystem that is mounted already.
        path: Option<String> = "path";
    }
    /// A filesystem on a device.
    pub struct Mount {
        /// Absolute path of the device.
        device: String = "device";
        /// Format.
        format: String = "format";
        /// How to make it (deprecated).
        create: Option<Create> = "create";
        /// Whether to make it anew.
        wipe_filesystem: bool = "wipe_filesystem";
        /// Label.
        label: Option<String> = "label";
        /// UUID.
        uuid: Option<String> = "uuid";
        /// Arguments for mkfs.
        options: Vec<String> = "options";
    }
    /// How to make a filesystem.
    pub struct Create {
        /// Overwrite what is there.
        force: bool = "force";
        /// Arguments for mkfs.
        options: Vec<String> = "options";
    }
    /// A user or a group by number or name.
    pub struct Owner {
        /// Number.
        id: Option<i64> = "id";
        /// Name.
        name: String = "name";
    }
    /// A file.
    pub struct File {
        /// Name of the filesystem; default `root`.
        filesystem: String = "filesystem";
        /// Absolute path.
        path: String = "path";
        /// Owner.
        user: Option<Owner> = "user";
        /// Group.
        group: Option<Owner> = "group";
        /// Permission bits; default 0644.
        mode: Option<i64> = "mode";
        /// What is in it.
        contents: FileContents = "contents";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
        /// Whether the contents go to the file's end.
        append: bool = "append";
    }
    /// What is in a file: one of three.
    pub struct FileContents {
        /// Contents to fetch.
        remote: Remote = "remote";
        /// Contents given here.
        inline: String = "inline";
        /// A local file.
        local: String = "local";
    }
    /// Contents to fetch.
    pub struct Remote {
        /// Where.
        url: String = "url";
        /// Nothing or `gzip`.
        compression: String = "compression";
        /// The expected hash.
        verification: Verification = "verification";
    }
    /// A directory.
    pub struct Directory {
        /// Name of the filesystem; default `root`.
        filesystem: String = "filesystem";
        /// Absolute path.
        path: String = "path";
        /// Owner.
        user: Option<Owner> = "user";
        /// Group.
        group: Option<Owner> = "group";
        /// Permission bits; default 0755.
        mode: Option<i64> = "mode";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
    }
    /// A link.
    pub struct Link {
        /// Name of the filesystem; default `root`.
        filesystem: String = "filesystem";
        /// Absolute path.
        path: String = "path";
        /// Owner.
        user: Option<Owner> = "user";
        /// Group.
        group: Option<Owner> = "group";
        /// A hard link.
        hard: bool = "hard";
        /// Where it points.
        target: String = "target";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
    }
    /// Units of systemd.
    pub struct Systemd {
        /// The units.
        units: Vec<Unit> = "units";
    }
    /// A unit of systemd.
    pub struct Unit {
        /// File name with extension.
        name: String = "name";
        /// Start it at boot (deprecated).
        enable: bool = "enable";
        /// Start it at boot.
        enabled: Option<bool> = "enabled";
        /// Never start it.
        mask: bool = "mask";
        /// The unit file.
        contents: String = "contents";
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins";
    }
    /// Units of networkd.
    pub struct Networkd {
        /// The units.
        units: Vec<NetworkdUnit> = "units";
    }
    /// A unit of networkd.
    pub struct NetworkdUnit {
        /// File name with extension.
        name: String = "name";
        /// The unit file.
        contents: String = "contents";
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins";
    }
    /// Users and groups.
    pub struct Passwd {
        /// Users.
        users: Vec<User> = "users";
        /// Groups.
        groups: Vec<Group> = "groups";
    }
    /// A user.
    pub struct User {
        /// Login name.
        name: String = "name";
        /// As in shadow(5).
        password_hash: Option<String> = "password_hash";
        /// Lines of `authorized_keys`.
        ssh_authorized_keys: Vec<String> = "ssh_authorized_keys";
        /// How to make the user (deprecated).
        create: Option<UserCreate> = "create";
        /// Number.
        uid: Option<i64> = "uid";
        /// Comment.
        gecos: String = "gecos";
        /// Home directory.
        home_dir: String = "home_dir";
        /// Make no home directory.
        no_create_home: bool = "no_create_home";
        /// First group.
        primary_group: String = "primary_group";
        /// Other groups.
        groups: Vec<String> = "groups";
        /// Make no group of the same name.
        no_user_group: bool = "no_user_group";
        /// A system account.
        system: bool = "system";
        /// Keep out of lastlog and faillog.
        no_log_init: bool = "no_log_init";
        /// Login shell.
        shell: String = "shell";
    }
    /// Updates of the system.
    pub struct Update {
        /// `stable`, `beta`, `alpha` or a group of one's own server.
        group: String = "group";
        /// URL of one's own server.
        server: String = "server";
    }
    /// Docker's options.
    pub struct Docker {
        /// Arguments of the daemon.
        flags: Vec<String> = "flags";
    }
    /// Reboots after updates.
    pub struct Locksmith {
        /// `reboot`, `etcd-lock` or `off`.
        reboot_strategy: Option<String> = "reboot_strategy";
        /// Start of the reboot window: `Thu 04:00` or `04:00`.
        window_start: Option<String> = "window_start";
        /// Length of the reboot window: `1h30m`.
        window_length: Option<String> = "window_length";
        /// Group that shares a lock.
        group: Option<String> = "group";
        /// Where etcd is.
        etcd_endpoints: Option<String> = "etcd_endpoints";
        /// Its certificate authority.
        etcd_cafile: Option<String> = "etcd_cafile";
        /// The client's certificate.
        etcd_certfile: Option<String> = "etcd_certfile";
        /// The client's key.
        etcd_keyfile: Option<String> = "etcd_keyfile";
    }
}
