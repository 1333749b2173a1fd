//! The objects of a Fuze config, named as in the YAML.

use crate::decode::inputs;

inputs! {
    /// A Fuze config.
    pub struct Config {
        /// Other configs to use.
        ignition: Ignition = "ignition";
        /// Disks, arrays, filesystems and files.
        storage: Storage = "storage";
        /// Units of systemd.
        systemd: Systemd = "systemd";
        /// Units of networkd.
        networkd: Networkd = "networkd";
        /// Accounts.
        passwd: Passwd = "passwd";
    }
    /// The config of Ignition itself.
    pub struct Ignition {
        /// Other configs to use.
        config: IgnitionConfig = "config";
    }
    /// Other configs to use.
    pub struct IgnitionConfig {
        /// Configs appended to this one.
        append: Vec<ConfigReference> = "append";
        /// The config used instead of this one.
        replace: Option<ConfigReference> = "replace";
    }
    /// Where another config is.
    pub struct ConfigReference {
        /// Its URL.
        source: String = "source";
        /// Its hash.
        verification: Verification = "verification";
    }
    /// How to know that what was fetched is right.
    pub struct Verification {
        /// The expected hash.
        hash: Hash = "hash";
    }
    /// A hash in two parts.
    pub struct Hash {
        /// Only `sha512`.
        function: String = "function";
        /// 128 hexadecimal digits.
        sum: String = "sum";
    }
    /// Disks, arrays, filesystems and files.
    pub struct Storage {
        /// Disks to partition.
        disks: Vec<Disk> = "disks";
        /// Arrays to build.
        raid: Vec<Raid> = "raid";
        /// Filesystems to make or to name.
        filesystems: Vec<Filesystem> = "filesystems";
        /// Files to write.
        files: Vec<File> = "files";
    }
    /// A disk to partition.
    pub struct Disk {
        /// Absolute path of the device.
        device: String = "device";
        /// Whether to erase the partition table.
        wipe_table: bool = "wipe_table";
        /// Partitions to make.
        partitions: Vec<Partition> = "partitions";
    }
    /// A partition; sizes are like `500MB`, units count 1024.
    pub struct Partition {
        /// GPT label, at most 36 octets.
        label: String = "label";
        /// Number, unique on the disk.
        number: i64 = "number";
        /// Size; none fills what is free.
        size: String = "size";
        /// Start, a multiple of 1 MiB.
        start: String = "start";
        /// GPT type.
        type_guid: String = "type_guid";
    }
    /// A software array.
    pub struct Raid {
        /// Name of the array.
        name: String = "name";
        /// Level, such as `raid1`.
        level: String = "level";
        /// Absolute paths of its devices.
        devices: Vec<String> = "devices";
        /// Number of spare devices.
        spares: i64 = "spares";
    }
    /// A filesystem: `mount` or `path`.
    pub struct Filesystem {
        /// The name files refer to.
        name: String = "name";
        /// A filesystem on a device.
        mount: Option<Mount> = "mount";
        /// A filesystem that is mounted already.
        path: String = "path";
    }
    /// A filesystem on a device.
    pub struct Mount {
        /// Absolute path of the device.
        device: String = "device";
        /// `ext4`, `btrfs` or `xfs`.
        format: String = "format";
        /// Present: the filesystem is made.
        create: Option<Create> = "create";
    }
    /// How to make a filesystem.
    pub struct Create {
        /// Overwrite what is there.
        force: bool = "force";
        /// Arguments for mkfs.
        options: Vec<String> = "options";
    }
    /// A file to write.
    pub struct File {
        /// Name of the filesystem it goes to.
        filesystem: String = "filesystem";
        /// Absolute path in that filesystem.
        path: String = "path";
        /// What is in it.
        contents: FileContents = "contents";
        /// Permission bits.
        mode: i64 = "mode";
        /// Owner.
        user: Owner = "user";
        /// Group.
        group: Owner = "group";
    }
    /// What is in a file; `remote` wins.
    pub struct FileContents {
        /// Contents to fetch.
        remote: Remote = "remote";
        /// Contents given here.
        inline: String = "inline";
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
    /// A user or a group by number.
    pub struct Owner {
        /// The number; 0 is the default.
        id: i64 = "id";
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
        units: Vec<Dropin> = "units";
    }
    /// Accounts.
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
        password_hash: String = "password_hash";
        /// Lines of `authorized_keys`.
        ssh_authorized_keys: Vec<String> = "ssh_authorized_keys";
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
    /// A group.
    pub struct Group {
        /// Name.
        name: String = "name";
        /// Number.
        gid: Option<u64> = "gid";
        /// As in gshadow(5).
        password_hash: String = "password_hash";
        /// A system group.
        system: bool = "system";
    }
}
