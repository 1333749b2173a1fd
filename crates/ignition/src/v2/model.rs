//! The objects of Ignition 2.x: one type for all versions, each field saying which version brought it.
//!
//! Fields stand in the order of the reference's types for 2.4. Specification:
//! <https://github.com/flatcar/ignition/tree/flatcar-master/doc>.

use crate::decode::objects;

objects! {
    /// An Ignition config.
    pub struct Config {
        /// Ignition itself: version, other configs, network.
        ignition: Ignition = "ignition" { always: true };
        /// Units of networkd.
        networkd: Networkd = "networkd";
        /// Users and groups.
        passwd: Passwd = "passwd";
        /// Disks, arrays, filesystems, files.
        storage: Storage = "storage";
        /// Units of systemd.
        systemd: Systemd = "systemd";
    }
    /// Where a certificate is.
    pub struct CaReference {
        /// Headers of the request.
        http_headers: Vec<HttpHeader> = "httpHeaders" { since: 4 };
        /// URL.
        source: String = "source" { always: true };
        /// Expected hash.
        verification: Verification = "verification";
    }
    /// Where another config is.
    pub struct ConfigReference {
        /// Headers of the request.
        http_headers: Vec<HttpHeader> = "httpHeaders" { since: 4 };
        /// URL.
        source: String = "source" { always: true };
        /// Expected hash.
        verification: Verification = "verification";
    }
    /// How to make a filesystem (replaced by `wipeFilesystem` in 2.1).
    pub struct Create {
        /// Overwrite what is there.
        force: bool = "force";
        /// Arguments for mkfs.
        options: Vec<String> = "options";
    }
    /// A directory.
    pub struct Directory {
        /// Name of the filesystem.
        filesystem: String = "filesystem" { always: true };
        /// Group.
        group: Option<Owner> = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite" { since: 2 };
        /// Absolute path.
        path: String = "path" { always: true };
        /// Owner.
        user: Option<Owner> = "user";
        /// Permission bits.
        mode: Option<i64> = "mode";
    }
    /// A disk to partition.
    pub struct Disk {
        /// Absolute path of the device.
        device: String = "device" { always: true };
        /// Partitions.
        partitions: Vec<Partition> = "partitions";
        /// Whether to erase the partition table.
        wipe_table: bool = "wipeTable";
    }
    /// A file.
    pub struct File {
        /// Name of the filesystem.
        filesystem: String = "filesystem" { always: true };
        /// Group.
        group: Option<Owner> = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite" { since: 2 };
        /// Absolute path.
        path: String = "path" { always: true };
        /// Owner.
        user: Option<Owner> = "user";
        /// Whether the contents go to the file's end.
        append: bool = "append" { since: 2 };
        /// What is in it.
        contents: FileContents = "contents";
        /// Permission bits.
        mode: Option<i64> = "mode";
    }
    /// What is in a file.
    pub struct FileContents {
        /// Nothing or `gzip`.
        compression: String = "compression";
        /// Headers of the request.
        http_headers: Vec<HttpHeader> = "httpHeaders" { since: 4 };
        /// URL.
        source: String = "source";
        /// Expected hash.
        verification: Verification = "verification";
    }
    /// A filesystem: `mount` or `path`.
    pub struct Filesystem {
        /// A filesystem on a device.
        mount: Option<Mount> = "mount";
        /// The name files refer to.
        name: String = "name";
        /// A filesystem that is mounted already.
        path: Option<String> = "path";
    }
    /// A header of an HTTP request.
    pub struct HttpHeader {
        /// Name.
        name: String = "name" { always: true };
        /// Value.
        value: String = "value" { always: true };
    }
    /// Ignition itself.
    pub struct Ignition {
        /// Other configs.
        config: IgnitionConfig = "config";
        /// Proxies.
        proxy: Proxy = "proxy" { since: 4 };
        /// Trust.
        security: Security = "security" { since: 2 };
        /// Time-outs.
        timeouts: Timeouts = "timeouts" { since: 1 };
        /// Version of the specification.
        version: String = "version";
    }
    /// Other configs.
    pub struct IgnitionConfig {
        /// Configs appended to this one.
        append: Vec<ConfigReference> = "append";
        /// The config used instead of this one.
        replace: Option<ConfigReference> = "replace";
    }
    /// A link.
    pub struct Link {
        /// Name of the filesystem.
        filesystem: String = "filesystem" { always: true };
        /// Group.
        group: Option<Owner> = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite" { since: 2 };
        /// Absolute path.
        path: String = "path" { always: true };
        /// Owner.
        user: Option<Owner> = "user";
        /// A hard link.
        hard: bool = "hard";
        /// Where it points.
        target: String = "target" { always: true };
    }
    /// A filesystem on a device.
    pub struct Mount {
        /// How to make it (deprecated by 2.1).
        create: Option<Create> = "create";
        /// Absolute path of the device.
        device: String = "device" { always: true };
        /// `ext4`, `btrfs`, `xfs`, from 2.1 `vfat` and `swap`.
        format: String = "format" { always: true };
        /// Label.
        label: Option<String> = "label" { since: 1 };
        /// Arguments for mkfs.
        options: Vec<String> = "options" { since: 1 };
        /// UUID.
        uuid: Option<String> = "uuid" { since: 1 };
        /// Whether to make it anew.
        wipe_filesystem: bool = "wipeFilesystem" { since: 1 };
    }
    /// Units of networkd.
    pub struct Networkd {
        /// The units.
        units: Vec<NetworkdUnit> = "units";
    }
    /// A unit of networkd.
    pub struct NetworkdUnit {
        /// The unit file.
        contents: String = "contents";
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins" { since: 2 };
        /// File name with extension.
        name: String = "name" { always: true };
    }
    /// A user or a group by number or name.
    pub struct Owner {
        /// Number.
        id: Option<i64> = "id";
        /// Name.
        name: String = "name" { since: 1 };
    }
    /// A partition.
    pub struct Partition {
        /// GUID of the partition.
        guid: String = "guid" { since: 1 };
        /// GPT label.
        label: Option<String> = "label";
        /// Number; 0 takes the next free one.
        number: i64 = "number";
        /// Whether it should be there; default true.
        should_exist: Option<bool> = "shouldExist" { since: 3 };
        /// Size in sectors of 512 octets.
        size: Option<i64> = "size";
        /// Size in MiB.
        size_mib: Option<i64> = "sizeMiB" { since: 3 };
        /// Start in sectors of 512 octets.
        start: Option<i64> = "start";
        /// Start in MiB.
        start_mib: Option<i64> = "startMiB" { since: 3 };
        /// GUID of its type.
        type_guid: String = "typeGuid";
        /// Whether one that differs may be replaced.
        wipe_partition_entry: bool = "wipePartitionEntry" { since: 3 };
    }
    /// Users and groups.
    pub struct Passwd {
        /// Groups.
        groups: Vec<PasswdGroup> = "groups";
        /// Users.
        users: Vec<PasswdUser> = "users";
    }
    /// A group.
    pub struct PasswdGroup {
        /// Number.
        gid: Option<i64> = "gid";
        /// Name.
        name: String = "name" { always: true };
        /// As in gshadow(5).
        password_hash: String = "passwordHash";
        /// A system group.
        system: bool = "system";
    }
    /// A user.
    pub struct PasswdUser {
        /// How to make the user (deprecated by 2.1).
        create: Option<UserCreate> = "create";
        /// Comment.
        gecos: String = "gecos" { since: 1 };
        /// Other groups.
        groups: Vec<String> = "groups" { since: 1 };
        /// Home directory.
        home_dir: String = "homeDir" { since: 1 };
        /// Login name.
        name: String = "name" { always: true };
        /// Make no home directory.
        no_create_home: bool = "noCreateHome" { since: 1 };
        /// Keep out of lastlog and faillog.
        no_log_init: bool = "noLogInit" { since: 1 };
        /// Make no group of the same name.
        no_user_group: bool = "noUserGroup" { since: 1 };
        /// As in shadow(5).
        password_hash: Option<String> = "passwordHash";
        /// First group.
        primary_group: String = "primaryGroup" { since: 1 };
        /// Lines of `authorized_keys`.
        ssh_authorized_keys: Vec<String> = "sshAuthorizedKeys";
        /// Login shell.
        shell: String = "shell" { since: 1 };
        /// A system account.
        system: bool = "system" { since: 1 };
        /// Number.
        uid: Option<i64> = "uid" { since: 1 };
    }
    /// Proxies for fetching.
    pub struct Proxy {
        /// For http.
        http_proxy: String = "httpProxy";
        /// For https.
        https_proxy: String = "httpsProxy";
        /// Hosts reached without a proxy.
        no_proxy: Vec<String> = "noProxy";
    }
    /// A software array.
    pub struct Raid {
        /// Absolute paths of its devices.
        devices: Vec<String> = "devices" { always: true };
        /// Level, such as `raid1`.
        level: String = "level" { always: true };
        /// Name of the array.
        name: String = "name" { always: true };
        /// Arguments for mdadm.
        options: Vec<String> = "options" { since: 2 };
        /// Number of spare devices.
        spares: i64 = "spares";
    }
    /// Trust.
    pub struct Security {
        /// TLS.
        tls: Tls = "tls";
    }
    /// Disks, arrays, filesystems, files.
    pub struct Storage {
        /// Directories.
        directories: Vec<Directory> = "directories" { since: 1 };
        /// Disks.
        disks: Vec<Disk> = "disks";
        /// Files.
        files: Vec<File> = "files";
        /// Filesystems.
        filesystems: Vec<Filesystem> = "filesystems";
        /// Links.
        links: Vec<Link> = "links" { since: 1 };
        /// Software arrays.
        raid: Vec<Raid> = "raid";
    }
    /// Units of systemd.
    pub struct Systemd {
        /// The units.
        units: Vec<Unit> = "units";
    }
    /// A file that changes a unit.
    pub struct Dropin {
        /// The file.
        contents: String = "contents";
        /// File name, ending in `.conf`.
        name: String = "name" { always: true };
    }
    /// Trust in TLS servers.
    pub struct Tls {
        /// Certificates trusted beside the system's.
        certificate_authorities: Vec<CaReference> = "certificateAuthorities";
    }
    /// Time-outs of fetching, in seconds.
    pub struct Timeouts {
        /// Until the headers of a response are there; default 10.
        http_response_headers: Option<i64> = "httpResponseHeaders";
        /// Until a response is complete; default none.
        http_total: Option<i64> = "httpTotal";
    }
    /// A unit of systemd.
    pub struct Unit {
        /// The unit file.
        contents: String = "contents";
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins";
        /// Start it at boot (deprecated by 2.1).
        enable: bool = "enable";
        /// Start it at boot.
        enabled: Option<bool> = "enabled" { since: 1 };
        /// Never start it.
        mask: bool = "mask";
        /// File name with extension.
        name: String = "name" { always: true };
    }
    /// How to make a user (deprecated by 2.1).
    pub struct UserCreate {
        /// Comment.
        gecos: String = "gecos";
        /// Other groups.
        groups: Vec<String> = "groups";
        /// Home directory.
        home_dir: String = "homeDir";
        /// Make no home directory.
        no_create_home: bool = "noCreateHome";
        /// Keep out of lastlog and faillog.
        no_log_init: bool = "noLogInit";
        /// Make no group of the same name.
        no_user_group: bool = "noUserGroup";
        /// First group.
        primary_group: String = "primaryGroup";
        /// Login shell.
        shell: String = "shell";
        /// A system account.
        system: bool = "system";
        /// Number.
        uid: Option<i64> = "uid";
    }
    /// How to know that what was fetched is right.
    pub struct Verification {
        /// `sha512-` and hexadecimal digits.
        hash: Option<String> = "hash";
    }
}
