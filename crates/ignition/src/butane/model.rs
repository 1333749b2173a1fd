//! The objects of a Butane config where they differ from Ignition's, named as in the YAML.
//!
//! Versions are those of the Ignition specification a config is made for (base 0.1 makes 3.0, and so on), so that
//! the objects both share can be shared.

use std::collections::BTreeMap;

use crate::decode::{Cx, Decode, Shape, inputs, is_null};
use crate::report::At;
use crate::tree::{Cursor, Kind};
use crate::v3::{
    Cex, Clevis, Directory, Disk, HttpHeader, KernelArguments, Link, NodeGroup, NodeUser, PasswdGroup, Proxy,
    Raid, Tang, Timeouts, Verification,
};

inputs! {
    /// A config of variants without sugar of their own: flatcar, r4e, fiot, fcos up to 1.2.
    pub struct Plain {
        /// Variant.
        variant: String = "variant";
        /// Version of the variant.
        version: String = "version";
        /// Ignition itself.
        ignition: Ignition = "ignition";
        /// Arguments of the kernel.
        kernel_arguments: KernelArguments = "kernel_arguments" { since: 3 };
        /// Users and groups.
        passwd: Passwd = "passwd";
        /// Disks and files.
        storage: Storage = "storage";
        /// Units.
        systemd: Systemd = "systemd";
    }
    /// A config of fcos from 1.3.
    pub struct Fcos {
        /// Variant.
        variant: String = "variant";
        /// Version of the variant.
        version: String = "version";
        /// Ignition itself.
        ignition: Ignition = "ignition";
        /// Arguments of the kernel.
        kernel_arguments: KernelArguments = "kernel_arguments" { since: 3 };
        /// Users and groups.
        passwd: Passwd = "passwd";
        /// Disks and files.
        storage: Storage = "storage";
        /// Units.
        systemd: Systemd = "systemd";
        /// Mirroring and encryption of the boot disk.
        boot_device: BootDevice = "boot_device";
        /// Passwords of the boot loader.
        grub: Grub = "grub" { since: 4 };
    }
    /// A config of openshift.
    pub struct OpenShiftConfig {
        /// Variant.
        variant: String = "variant";
        /// Version of the variant.
        version: String = "version";
        /// Ignition itself.
        ignition: Ignition = "ignition";
        /// Arguments of the kernel.
        kernel_arguments: KernelArguments = "kernel_arguments" { since: 3 };
        /// Users and groups.
        passwd: Passwd = "passwd";
        /// Disks and files.
        storage: Storage = "storage";
        /// Units.
        systemd: Systemd = "systemd";
        /// Mirroring and encryption of the boot disk.
        boot_device: BootDevice = "boot_device";
        /// Passwords of the boot loader.
        grub: Grub = "grub" { since: 4 };
        /// Name and labels of the MachineConfig.
        metadata: Metadata = "metadata";
        /// What only a MachineConfig has.
        openshift: OpenShift = "openshift";
    }
    /// Mirroring and encryption of the boot disk.
    pub struct BootDevice {
        /// Architecture.
        layout: Option<String> = "layout";
        /// Encryption of the root filesystem.
        luks: BootDeviceLuks = "luks";
        /// Mirroring.
        mirror: BootDeviceMirror = "mirror";
    }
    /// Encryption of the root filesystem.
    pub struct BootDeviceLuks {
        /// IBM Z secure element.
        cex: Cex = "cex" { since: 5 };
        /// Whether to pass on discards.
        discard: Option<bool> = "discard" { since: 4 };
        /// The disk, on s390x.
        device: Option<String> = "device" { since: 5 };
        /// Tang servers.
        tang: Vec<Tang> = "tang";
        /// How many of the pins are needed.
        threshold: Option<i64> = "threshold";
        /// Whether to use the TPM.
        tpm2: Option<bool> = "tpm2";
    }
    /// Mirroring of the boot disk.
    pub struct BootDeviceMirror {
        /// The disks.
        devices: Vec<String> = "devices";
    }
    /// Passwords of the boot loader.
    pub struct Grub {
        /// Who may edit boot entries.
        users: Vec<GrubUser> = "users";
    }
    /// Somebody who may edit boot entries.
    pub struct GrubUser {
        /// Name.
        name: String = "name";
        /// As printed by grub2-mkpasswd-pbkdf2.
        password_hash: Option<String> = "password_hash";
    }
    /// Name and labels of a MachineConfig.
    pub struct Metadata {
        /// Name.
        name: String = "name";
        /// Labels.
        labels: Labels = "labels";
    }
    /// What only a MachineConfig has.
    pub struct OpenShift {
        /// Arguments of the kernel.
        kernel_arguments: Vec<String> = "kernel_arguments";
        /// Extensions of the operating system.
        extensions: Vec<String> = "extensions";
        /// FIPS mode.
        fips: Option<bool> = "fips";
        /// `default` or `realtime`.
        kernel_type: Option<String> = "kernel_type";
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
    }
    /// Other configs.
    pub struct IgnitionConfig {
        /// Configs merged into this one.
        merge: Vec<Resource> = "merge";
        /// The config used instead of this one.
        replace: Resource = "replace";
    }
    /// Trust.
    pub struct Security {
        /// TLS.
        tls: Tls = "tls";
    }
    /// Trust in TLS servers.
    pub struct Tls {
        /// Certificates.
        certificate_authorities: Vec<Resource> = "certificate_authorities";
    }
    /// Something to fetch, or given here.
    pub struct Resource {
        /// Nothing or `gzip`.
        compression: Option<String> = "compression";
        /// Headers of the request.
        http_headers: Vec<HttpHeader> = "http_headers" { since: 1 };
        /// URL.
        source: Option<String> = "source";
        /// The contents.
        inline: Option<String> = "inline";
        /// A local file with the contents.
        local: Option<String> = "local" { since: 1 };
        /// Expected hash.
        verification: Verification = "verification";
    }
    /// Users and groups.
    pub struct Passwd {
        /// Groups.
        groups: Vec<PasswdGroup> = "groups";
        /// Users.
        users: Vec<PasswdUser> = "users";
    }
    /// A user.
    pub struct PasswdUser {
        /// Comment.
        gecos: Option<String> = "gecos";
        /// Other groups.
        groups: Vec<String> = "groups";
        /// Home directory.
        home_dir: Option<String> = "home_dir";
        /// Login name.
        name: String = "name";
        /// Make no home directory.
        no_create_home: Option<bool> = "no_create_home";
        /// Keep out of lastlog and faillog.
        no_log_init: Option<bool> = "no_log_init";
        /// Make no group of the same name.
        no_user_group: Option<bool> = "no_user_group";
        /// As in shadow(5).
        password_hash: Option<String> = "password_hash";
        /// First group.
        primary_group: Option<String> = "primary_group";
        /// Whether it should be there.
        should_exist: Option<bool> = "should_exist" { since: 2 };
        /// Lines of `authorized_keys`.
        ssh_authorized_keys: Vec<String> = "ssh_authorized_keys";
        /// Local files with lines of `authorized_keys`.
        ssh_authorized_keys_local: Vec<String> = "ssh_authorized_keys_local" { since: 4 };
        /// Login shell.
        shell: Option<String> = "shell";
        /// A system account.
        system: Option<bool> = "system";
        /// Number.
        uid: Option<i64> = "uid";
    }
    /// Disks and files.
    pub struct Storage {
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
        /// Local directories copied whole.
        trees: Vec<Tree> = "trees" { since: 1 };
    }
    /// A file.
    pub struct File {
        /// Group.
        group: NodeGroup = "group";
        /// Whether to replace what is there.
        overwrite: Option<bool> = "overwrite";
        /// Absolute path.
        path: String = "path";
        /// Owner.
        user: NodeUser = "user";
        /// Fragments.
        append: Vec<Resource> = "append";
        /// What is in it.
        contents: Resource = "contents";
        /// Permission bits.
        mode: Option<i64> = "mode";
    }
    /// A filesystem on a device.
    pub struct Filesystem {
        /// Absolute path of the device.
        device: String = "device";
        /// Format.
        format: Option<String> = "format";
        /// Label.
        label: Option<String> = "label";
        /// Options for mounting.
        mount_options: Vec<String> = "mount_options" { since: 1 };
        /// Arguments for mkfs.
        options: Vec<String> = "options";
        /// Mount point.
        path: Option<String> = "path";
        /// UUID.
        uuid: Option<String> = "uuid";
        /// Whether to make it anew.
        wipe_filesystem: Option<bool> = "wipe_filesystem";
        /// Whether to make a mount unit.
        with_mount_unit: Option<bool> = "with_mount_unit" { since: 1 };
    }
    /// An encrypted volume.
    pub struct Luks {
        /// IBM Z secure element.
        cex: Cex = "cex" { since: 5 };
        /// Unlocking without a person.
        clevis: Clevis = "clevis";
        /// Absolute path of the device.
        device: Option<String> = "device";
        /// Whether to pass on discards.
        discard: Option<bool> = "discard" { since: 4 };
        /// The key.
        key_file: Resource = "key_file";
        /// Label.
        label: Option<String> = "label";
        /// Name of the opened volume.
        name: String = "name";
        /// Options kept for opening.
        open_options: Vec<String> = "open_options" { since: 4 };
        /// Arguments for cryptsetup.
        options: Vec<String> = "options";
        /// UUID.
        uuid: Option<String> = "uuid";
        /// Whether to make it anew.
        wipe_volume: Option<bool> = "wipe_volume";
    }
    /// A local directory copied whole.
    pub struct Tree {
        /// Group of everything.
        group: NodeGroup = "group" { since: 6 };
        /// The directory.
        local: String = "local";
        /// Where it goes; default `/`.
        path: Option<String> = "path";
        /// Owner of everything.
        user: NodeUser = "user" { since: 6 };
        /// Permission bits of files.
        file_mode: Option<i64> = "file_mode" { since: 6 };
        /// Permission bits of directories.
        dir_mode: Option<i64> = "dir_mode" { since: 6 };
    }
    /// Units.
    pub struct Systemd {
        /// Units of systemd.
        units: Vec<Unit> = "units";
        /// Units of podman.
        quadlets: Vec<Quadlet> = "quadlets" { since: 7 };
    }
    /// A unit of systemd.
    pub struct Unit {
        /// The unit file.
        contents: Option<String> = "contents";
        /// A local file with it.
        contents_local: Option<String> = "contents_local" { since: 4 };
        /// Files that change the unit.
        dropins: Vec<Dropin> = "dropins";
        /// Start it at boot.
        enabled: Option<bool> = "enabled";
        /// Never start it.
        mask: Option<bool> = "mask";
        /// File name with extension.
        name: String = "name";
    }
    /// A file that changes a unit.
    pub struct Dropin {
        /// The file.
        contents: Option<String> = "contents";
        /// A local file with it.
        contents_local: Option<String> = "contents_local" { since: 4 };
        /// File name.
        name: String = "name";
    }
    /// A unit of podman.
    pub struct Quadlet {
        /// The file.
        contents: Option<String> = "contents";
        /// A local file with it.
        contents_local: Option<String> = "contents_local";
        /// File name with extension.
        name: String = "name";
        /// For root instead of users.
        rootful: bool = "rootful";
        /// Files that change it.
        dropins: Vec<Dropin> = "dropins";
    }
}

/// Labels: names and values of one's own choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(pub BTreeMap<String, String>);

impl Decode for Labels {
    const SHAPE: Shape = Shape::Map(&Shape::String);

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            self.0.clear();
            return true;
        }
        if node.kind() != Kind::Object {
            cx.mismatch(node, "an object", at);
            return false;
        }
        for (key, value) in node.members() {
            let mut text = String::new();
            if text.decode(cx, value, &at.key(key.text())) {
                self.0.insert(key.text().to_owned(), text);
            }
        }
        true
    }
}

/// A config of any variant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Everything the variants share.
    pub base: Plain,
    /// fcos and openshift.
    pub boot_device: BootDevice,
    /// fcos and openshift.
    pub grub: Grub,
    /// openshift.
    pub metadata: Metadata,
    /// openshift.
    pub openshift: OpenShift,
}

impl From<Plain> for Config {
    fn from(base: Plain) -> Self {
        Self { base, ..Self::default() }
    }
}

impl From<Fcos> for Config {
    fn from(config: Fcos) -> Self {
        let Fcos {
            variant,
            version,
            ignition,
            kernel_arguments,
            passwd,
            storage,
            systemd,
            boot_device,
            grub,
        } = config;
        let base = Plain { variant, version, ignition, kernel_arguments, passwd, storage, systemd };
        Self { base, boot_device, grub, ..Self::default() }
    }
}

impl From<OpenShiftConfig> for Config {
    fn from(config: OpenShiftConfig) -> Self {
        let OpenShiftConfig { variant, version, ignition, kernel_arguments, passwd, storage, .. } = config;
        let OpenShiftConfig { systemd, boot_device, grub, metadata, openshift, .. } = config;
        let base = Plain { variant, version, ignition, kernel_arguments, passwd, storage, systemd };
        Self { base, boot_device, grub, metadata, openshift }
    }
}
