//! The objects of Ignition 1.

use crate::decode::objects;

objects! {
    /// An Ignition 1 config.
    pub struct Config {
        /// Always 1.
        ignition_version: i64 = "ignitionVersion" { always: true };
        /// Disks, arrays, filesystems.
        storage: Storage = "storage";
        /// Units of systemd.
        systemd: Systemd = "systemd";
        /// Units of networkd.
        networkd: Networkd = "networkd";
        /// Users and groups.
        passwd: Passwd = "passwd";
    }
    /// Disks, arrays, filesystems.
    pub struct Storage {
        /// Disks.
        disks: Vec<Disk> = "disks";
        /// Software arrays.
        raid: Vec<Raid> = "raid";
        /// Filesystems.
        filesystems: Vec<Filesystem> = "filesystems";
    }
    /// A disk to partition.
    pub struct Disk {
        /// Absolute path of the device.
        device: String = "device";
        /// Whether to erase the partition table.
        wipe_table: bool = "wipeTable";
        /// Partitions.
        partitions: Vec<Partition> = "partitions";
    }
    /// A partition, in sectors of 512 octets.
    pub struct Partition {
        /// GPT label.
        label: String = "label";
        /// Number.
        number: i64 = "number" { always: true };
        /// Size.
        size: i64 = "size" { always: true };
        /// Start.
        start: i64 = "start" { always: true };
        /// GUID of its type.
        type_guid: String = "typeGuid";
    }
    /// A software array.
    pub struct Raid {
        /// Name of the array.
        name: String = "name" { always: true };
        /// Level.
        level: String = "level" { always: true };
        /// Absolute paths of its devices.
        devices: Vec<String> = "devices";
        /// Number of spare devices.
        spares: i64 = "spares";
    }
    /// A filesystem and the files in it.
    pub struct Filesystem {
        /// Absolute path of the device.
        device: String = "device";
        /// `ext4` or `btrfs`.
        format: String = "format";
        /// Present: it is made.
        create: Option<Create> = "create";
        /// Files in it.
        files: Vec<File> = "files";
    }
    /// How to make a filesystem.
    pub struct Create {
        /// Overwrite what is there.
        force: bool = "force";
        /// Arguments for mkfs.
        options: Vec<String> = "options";
    }
    /// A file.
    pub struct File {
        /// Absolute path in the filesystem.
        path: String = "path";
        /// What is in it.
        contents: String = "contents";
        /// Permission bits.
        mode: i64 = "mode";
        /// Owner.
        uid: i64 = "uid";
        /// Group.
        gid: i64 = "gid";
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
        /// Start it at boot.
        enable: bool = "enable";
        /// Never start it.
        mask: bool = "mask";
        /// The unit file.
        contents: String = "contents";
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins";
    }
    /// A file that changes a unit.
    pub struct Dropin {
        /// File name, ending in `.conf`.
        name: String = "name";
        /// The file.
        contents: String = "contents";
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
        password_hash: String = "passwordHash";
        /// Lines of `authorized_keys`.
        ssh_authorized_keys: Vec<String> = "sshAuthorizedKeys";
        /// Present: the user is made.
        create: Option<UserCreate> = "create";
    }
    /// How to make a user.
    pub struct UserCreate {
        /// Number.
        uid: Option<u64> = "uid";
        /// Comment.
        gecos: String = "gecos";
        /// Home directory.
        home_dir: String = "homeDir";
        /// Make no home directory.
        no_create_home: bool = "noCreateHome";
        /// First group.
        primary_group: String = "primaryGroup";
        /// Other groups.
        groups: Vec<String> = "groups";
        /// Make no group of the same name.
        no_user_group: bool = "noUserGroup";
        /// A system account.
        system: bool = "system";
        /// Keep out of lastlog and faillog.
        no_log_init: bool = "noLogInit";
        /// Login shell.
        shell: String = "shell";
    }
    /// A group.
    pub struct Group {
        /// Name.
        name: String = "name";
        /// Number.
        gid: Option<u64> = "gid";
        /// As in gshadow(5).
        password_hash: String = "passwordHash";
        /// A system group.
        system: bool = "system";
    }
}
