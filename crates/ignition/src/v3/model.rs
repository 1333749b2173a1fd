//! The objects of Ignition 3.x: one type for all versions, each field saying which version brought it.
//!
//! Fields stand in the order of the reference's types, which is the order of its output. Specification:
//! <https://coreos.github.io/ignition/specs/>.

use crate::decode::objects;
use crate::merge::Key;

objects! {
    /// An Ignition config.
    pub struct Config {
        /// Ignition itself: version, other configs, network.
        ignition: Ignition = "ignition" { always: true };
        /// Arguments of the kernel.
        kernel_arguments: KernelArguments = "kernelArguments" { since: 3 };
        /// Users and groups.
        passwd: Passwd = "passwd";
        /// Disks, arrays, filesystems, files.
        storage: Storage = "storage";
        /// Units of systemd.
        systemd: Systemd = "systemd";
    }
    /// Encryption by the secure element of IBM Z.
    pub struct Cex {
        /// Whether to bind to it.
        enabled: Option<bool> = "enabled";
    }
    /// How an encrypted volume is unlocked without a person.
    pub struct Clevis {
        /// A pin of one's own.
        custom: ClevisCustom = "custom";
        /// Tang servers.
        tang: Vec<Tang> = "tang";
        /// How many of the pins are needed; default 1.
        threshold: Option<i64> = "threshold";
        /// Whether to use the TPM.
        tpm2: Option<bool> = "tpm2";
    }
    /// A clevis pin of one's own.
    pub struct ClevisCustom {
        /// Its configuration, JSON.
        config: Option<String> = "config";
        /// Whether it needs the network.
        needs_network: Option<bool> = "needsNetwork";
        /// Its name.
        pin: Option<String> = "pin";
    }
    /// A directory.
    pub struct Directory (key = |this| Key::Text(&this.path)) {
        /// Group.
        group: NodeGroup = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
        /// Absolute path.
        path: String = "path" { always: true };
        /// Owner.
        user: NodeUser = "user";
        /// Permission bits.
        mode: Option<i64> = "mode";
    }
    /// A disk to partition.
    pub struct Disk (key = |this| Key::Text(&this.device)) {
        /// Absolute path of the device.
        device: String = "device" { always: true };
        /// Partitions.
        partitions: Vec<Partition> = "partitions";
        /// Whether to erase the partition table.
        wipe_table: Option<bool> = "wipeTable";
    }
    /// A file that changes a unit.
    pub struct Dropin (key = |this| Key::Text(&this.name)) {
        /// The file.
        contents: Option<String> = "contents";
        /// File name, ending in `.conf`.
        name: String = "name" { always: true };
    }
    /// A file.
    pub struct File (key = |this| Key::Text(&this.path)) {
        /// Group.
        group: NodeGroup = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
        /// Absolute path.
        path: String = "path" { always: true };
        /// Owner.
        user: NodeUser = "user";
        /// Fragments appended to the file.
        append: Vec<Resource> = "append" { append: true };
        /// What is in it.
        contents: Resource = "contents";
        /// Permission bits.
        mode: Option<i64> = "mode";
    }
    /// A filesystem on a device.
    pub struct Filesystem (key = |this| Key::Text(&this.device)) {
        /// Absolute path of the device.
        device: String = "device" { always: true };
        /// `ext4`, `btrfs`, `xfs`, `vfat`, `swap`, from 3.3 `none`, from 3.7 `virtiofs`.
        format: Option<String> = "format";
        /// Label.
        label: Option<String> = "label";
        /// Options for mounting it while Ignition runs.
        mount_options: Vec<String> = "mountOptions" { since: 1, append: true };
        /// Arguments for mkfs.
        options: Vec<String> = "options" { append: true };
        /// Where it is mounted while Ignition runs.
        path: Option<String> = "path";
        /// UUID.
        uuid: Option<String> = "uuid";
        /// Whether to make it anew.
        wipe_filesystem: Option<bool> = "wipeFilesystem";
    }
    /// A header of an HTTP request.
    pub struct HttpHeader (key = |this| Key::Text(&this.name), removes = |this| this.value.is_none()) {
        /// Name.
        name: String = "name" { always: true };
        /// Value; none removes the header at a merge.
        value: Option<String> = "value";
    }
    /// Ignition itself.
    pub struct Ignition {
        /// Other configs.
        config: IgnitionConfig = "config";
        /// Proxies.
        proxy: Proxy = "proxy" { since: 1 };
        /// Trust.
        security: Security = "security";
        /// Time-outs.
        timeouts: Timeouts = "timeouts";
        /// Version of the specification.
        version: String = "version" { always: true };
    }
    /// Other configs.
    pub struct IgnitionConfig {
        /// Configs merged into this one.
        merge: Vec<Resource> = "merge";
        /// The config used instead of this one.
        replace: Resource = "replace";
    }
    /// Arguments of the kernel.
    pub struct KernelArguments (before = super::shared::arguments) {
        /// Arguments to add.
        should_exist: Vec<String> = "shouldExist";
        /// Arguments to remove.
        should_not_exist: Vec<String> = "shouldNotExist";
    }
    /// A link.
    pub struct Link (key = |this| Key::Text(&this.path)) {
        /// Group.
        group: NodeGroup = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
        /// Absolute path.
        path: String = "path" { always: true };
        /// Owner.
        user: NodeUser = "user";
        /// A hard link.
        hard: Option<bool> = "hard";
        /// Where it points.
        target: Option<String> = "target";
    }
    /// An encrypted volume.
    pub struct Luks (key = |this| Key::Text(&this.name)) {
        /// IBM Z secure element.
        cex: Cex = "cex" { since: 5 };
        /// Unlocking without a person.
        clevis: Clevis = "clevis";
        /// Absolute path of the device.
        device: Option<String> = "device";
        /// Whether to pass on discards.
        discard: Option<bool> = "discard" { since: 4 };
        /// The key.
        key_file: Resource = "keyFile";
        /// Label.
        label: Option<String> = "label";
        /// Name of the opened volume.
        name: String = "name" { always: true };
        /// Options kept for opening.
        open_options: Vec<String> = "openOptions" { since: 4 };
        /// Arguments for cryptsetup.
        options: Vec<String> = "options" { append: true };
        /// UUID.
        uuid: Option<String> = "uuid";
        /// Whether to make it anew.
        wipe_volume: Option<bool> = "wipeVolume";
    }
    /// A group by number or name.
    pub struct NodeGroup {
        /// Number.
        id: Option<i64> = "id";
        /// Name.
        name: Option<String> = "name";
    }
    /// A user by number or name.
    pub struct NodeUser {
        /// Number.
        id: Option<i64> = "id";
        /// Name.
        name: Option<String> = "name";
    }
    /// A partition.
    pub struct Partition (key = partition_key) {
        /// GUID of the partition.
        guid: Option<String> = "guid";
        /// GPT label.
        label: Option<String> = "label";
        /// Number; 0 takes the next free one.
        number: i64 = "number";
        /// Whether an existing one may be resized.
        resize: Option<bool> = "resize" { since: 2 };
        /// Whether it should be there; default true.
        should_exist: Option<bool> = "shouldExist";
        /// Size in MiB; 0 fills what is free.
        size_mib: Option<i64> = "sizeMiB";
        /// Start in MiB; 0 takes the largest gap.
        start_mib: Option<i64> = "startMiB";
        /// GUID of its type.
        type_guid: Option<String> = "typeGuid";
        /// Whether one that differs may be replaced.
        wipe_partition_entry: Option<bool> = "wipePartitionEntry";
    }
    /// Users and groups.
    pub struct Passwd {
        /// Groups.
        groups: Vec<PasswdGroup> = "groups";
        /// Users.
        users: Vec<PasswdUser> = "users";
    }
    /// A group.
    pub struct PasswdGroup (key = |this| Key::Text(&this.name)) {
        /// Number.
        gid: Option<i64> = "gid";
        /// Name.
        name: String = "name" { always: true };
        /// As in gshadow(5).
        password_hash: Option<String> = "passwordHash";
        /// Whether it should be there; default true.
        should_exist: Option<bool> = "shouldExist" { since: 2, default_on: true };
        /// A system group.
        system: Option<bool> = "system";
    }
    /// A user.
    pub struct PasswdUser (key = |this| Key::Text(&this.name)) {
        /// Comment.
        gecos: Option<String> = "gecos";
        /// Other groups.
        groups: Vec<String> = "groups";
        /// Home directory.
        home_dir: Option<String> = "homeDir";
        /// Login name.
        name: String = "name" { always: true };
        /// Make no home directory.
        no_create_home: Option<bool> = "noCreateHome";
        /// Keep out of lastlog and faillog.
        no_log_init: Option<bool> = "noLogInit";
        /// Make no group of the same name.
        no_user_group: Option<bool> = "noUserGroup";
        /// As in shadow(5).
        password_hash: Option<String> = "passwordHash";
        /// First group.
        primary_group: Option<String> = "primaryGroup";
        /// Lines of `authorized_keys`.
        ssh_authorized_keys: Vec<String> = "sshAuthorizedKeys";
        /// Login shell.
        shell: Option<String> = "shell";
        /// Whether it should be there; default true.
        should_exist: Option<bool> = "shouldExist" { since: 2, default_on: true };
        /// A system account.
        system: Option<bool> = "system";
        /// Number.
        uid: Option<i64> = "uid";
    }
    /// Proxies for fetching.
    pub struct Proxy {
        /// For http.
        http_proxy: Option<String> = "httpProxy";
        /// For https.
        https_proxy: Option<String> = "httpsProxy";
        /// Hosts reached without a proxy.
        no_proxy: Vec<String> = "noProxy";
    }
    /// A software array.
    pub struct Raid (key = |this| Key::Text(&this.name)) {
        /// Absolute paths of its devices.
        devices: Vec<String> = "devices";
        /// Level, such as `raid1`.
        level: Option<String> = "level";
        /// Name of the array.
        name: String = "name" { always: true };
        /// Arguments for mdadm.
        options: Vec<String> = "options" { append: true };
        /// Number of spare devices.
        spares: Option<i64> = "spares";
    }
    /// Something to fetch.
    pub struct Resource (key = |this| Key::Text(this.source.as_deref().unwrap_or_default())) {
        /// Nothing or `gzip`.
        compression: Option<String> = "compression";
        /// Headers of the request.
        http_headers: Vec<HttpHeader> = "httpHeaders" { since: 1 };
        /// URL.
        source: Option<String> = "source";
        /// Expected hash.
        verification: Verification = "verification";
    }
    /// Trust.
    pub struct Security {
        /// TLS.
        tls: Tls = "tls";
    }
    /// Disks, arrays, filesystems, files.
    pub struct Storage (before = super::shared::nodes) {
        /// Directories.
        directories: Vec<Directory> = "directories";
        /// Disks.
        disks: Vec<Disk> = "disks";
        /// Files.
        files: Vec<File> = "files";
        /// Filesystems.
        filesystems: Vec<Filesystem> = "filesystems";
        /// Links.
        links: Vec<Link> = "links";
        /// Encrypted volumes.
        luks: Vec<Luks> = "luks" { since: 2 };
        /// Software arrays.
        raid: Vec<Raid> = "raid";
    }
    /// Units of systemd.
    pub struct Systemd {
        /// The units.
        units: Vec<Unit> = "units";
    }
    /// Trust in TLS servers.
    pub struct Tls {
        /// Certificates trusted beside the system's.
        certificate_authorities: Vec<Resource> = "certificateAuthorities";
    }
    /// A Tang server.
    pub struct Tang (key = |this| Key::Text(&this.url)) {
        /// Its advertisement, for provisioning without it.
        advertisement: Option<String> = "advertisement" { since: 4 };
        /// Thumbprint of its key.
        thumbprint: Option<String> = "thumbprint";
        /// URL.
        url: String = "url";
    }
    /// Time-outs of fetching, in seconds.
    pub struct Timeouts {
        /// Until the headers of a response are there; default 10.
        http_response_headers: Option<i64> = "httpResponseHeaders";
        /// Until a response is complete; default none.
        http_total: Option<i64> = "httpTotal";
    }
    /// A unit of systemd.
    pub struct Unit (key = |this| Key::Text(&this.name)) {
        /// The unit file.
        contents: Option<String> = "contents";
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins";
        /// Start it at boot.
        enabled: Option<bool> = "enabled";
        /// Never start it.
        mask: Option<bool> = "mask";
        /// File name with extension.
        name: String = "name" { always: true };
    }
    /// How to know that what was fetched is right.
    pub struct Verification {
        /// `sha512-` or (from 3.1) `sha256-` and hexadecimal digits.
        hash: Option<String> = "hash";
    }
}

/// Partitions are the same by number, else by label.
fn partition_key(partition: &Partition) -> Key<'_> {
    match (partition.number, &partition.label) {
        (0, Some(label)) => Key::Text(label),
        (0, None) => Key::Text(""),
        (number, _) => Key::Number(number),
    }
}
