//! The objects of a Fuze config, named as in the YAML. Units and accounts are those of Ignition 1.

use crate::decode::inputs;
pub(crate) use crate::v1::{Group, Networkd, Passwd, Systemd, Unit, User, UserCreate};

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
}
