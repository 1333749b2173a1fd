//! The codes and sentences of Butane's own rules, as the reference words them.

use crate::path::PathRule as Rule;

pub(super) const NO_VARIANT: Rule =
    ("error-parsing-variant-must-be-specified", "error parsing variant; must be specified");
pub(super) const INVALID_VERSION: Rule =
    ("error-parsing-version-must-be-a-valid-semver", "error parsing version; must be a valid semver");
pub(super) const RHCOS_VARIANT_UNSUPPORTED: Rule = (
    "rhcos-variant-has-been-removed-use-openshift-variant-instead",
    "rhcos variant has been removed; use openshift variant instead: https://coreos.github.io/butane/upgrading-openshift/",
);
pub(super) const TOO_MANY_RESOURCE_SOURCES: Rule = (
    "only-one-of-the-following-can-be-set-inline",
    "only one of the following can be set: inline, local, source",
);
pub(super) const NODE_EXISTS: Rule = (
    "matching-filesystem-node-has-existing-contents-or-different-type",
    "matching filesystem node has existing contents or different type",
);
pub(super) const TREE_NO_LOCAL: Rule = ("local-is-required", "local is required");
pub(super) const DECIMAL_MODE: Rule = (
    "unreasonable-mode-would-be-reasonable-if-specified-in-octal",
    "unreasonable mode would be reasonable if specified in octal; remember to add a leading zero",
);
pub(super) const TOO_MANY_SYSTEMD_SOURCES: Rule = (
    "only-one-of-the-following-can-be-set-contents",
    "only one of the following can be set: contents, contents_local",
);
pub(super) const QUADLET_BAD_EXTENSION: Rule = (
    "unsupported-file-extension-for-quadlet-must-be-one-of",
    "unsupported file extension for quadlet: must be one of .container, .volume, .network, .kube, .image, .build, .pod, or .artifact",
);
pub(super) const TEMPLATE_INSTANCE_CANNOT_HAVE_CONTENTS: Rule = (
    "template-instances-cannot-have-contents-or-contents-local",
    "template instances cannot have contents or contents_local",
);
pub(super) const MOUNT_UNIT_NO_PATH: Rule = (
    "path-is-required-if-with-mount-unit-is-true",
    "path is required if with_mount_unit is true and format is not swap",
);
pub(super) const MOUNT_UNIT_NO_FORMAT: Rule =
    ("format-is-required-if-with-mount-unit-is-true", "format is required if with_mount_unit is true");
pub(super) const MOUNT_POINT_FORBIDDEN: Rule =
    ("path-must-be-under-etc-or-var-if-with", "path must be under /etc or /var if with_mount_unit is true");
pub(super) const UNKNOWN_BOOT_DEVICE_LAYOUT: Rule = (
    "layout-must-be-one-of-aarch64-ppc64le-s390x-eckd",
    "layout must be one of: aarch64, ppc64le, s390x-eckd, s390x-virt, s390x-zfcp, x86_64",
);
pub(super) const UNKNOWN_BOOT_DEVICE_LAYOUT_LEGACY: Rule =
    ("layout-must-be-one-of-aarch64-ppc64le-x86-64", "layout must be one of: aarch64, ppc64le, x86_64");
pub(super) const TOO_FEW_MIRROR_DEVICES: Rule =
    ("mirroring-requires-at-least-two-devices", "mirroring requires at least two devices");
pub(super) const MIRROR_REQUIRES_LAYOUT: Rule = (
    "boot-device-layout-should-be-specified-when-boot-device",
    "boot_device.layout should be specified when boot_device.mirror is specified",
);
pub(super) const NO_LUKS_BOOT_DEVICE: Rule = (
    "device-is-required-for-layouts-s390x-eckd-s390x-zfcp",
    "device is required for layouts: s390x-eckd, s390x-zfcp",
);
pub(super) const MIRROR_NOT_SUPPORT: Rule = (
    "mirroring-not-supported-on-layouts-s390x-eckd-s390x-zfcp",
    "mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt",
);
pub(super) const LUKS_BOOT_DEVICE_BAD_NAME: Rule = (
    "device-name-must-start-with-dev-dasd-on-s390x",
    "device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout",
);
pub(super) const CEX_ARCHITECTURE_MISMATCH: Rule = (
    "when-using-cex-the-targeted-architecture-must-match-s390x",
    "when using cex the targeted architecture must match s390x",
);
pub(super) const CEX_NOT_SUPPORTED: Rule = (
    "cex-is-not-currently-supported-on-the-target-platform",
    "cex is not currently supported on the target platform",
);
pub(super) const NO_LUKS_METHOD_SPECIFIED: Rule =
    ("no-method-specified-for-luks", "no method specified for luks");
pub(super) const REUSE_BY_LABEL: Rule = (
    "partitions-cannot-be-reused-by-label-number-must-be",
    "partitions cannot be reused by label; number must be specified except on boot disk (/dev/disk/by-id/coreos-boot-disk) or when wipe_table is true",
);
pub(super) const WRONG_PARTITION_NUMBER: Rule = (
    "incorrect-partition-number-a-new-partition-will-be-created",
    "incorrect partition number; a new partition will be created using reserved label",
);
pub(super) const ROOT_TOO_SMALL: Rule =
    ("root-should-have-8gib-of-space-assigned", "root should have 8GiB of space assigned");
pub(super) const ROOT_CONSTRAINED: Rule = (
    "root-partition-cannot-expand-it-is-set-to-fill",
    "root partition cannot expand; it is set to fill available space but is followed by an auto-positioned partition",
);
pub(super) const FIELD_ELIDED: Rule = ("field-ignored-in-raw-mode", "field ignored in raw mode");
pub(super) const NAME_REQUIRED: Rule = ("metadata-name-is-required", "metadata.name is required");
pub(super) const ROLE_REQUIRED: Rule = (
    "machineconfiguration-openshift-io-role-label-is-required",
    "machineconfiguration.openshift.io/role label is required",
);
pub(super) const INVALID_KERNEL_TYPE: Rule =
    ("must-be-empty-or", "must be empty, \"default\", or \"realtime\"");
pub(super) const BTRFS_SUPPORT: Rule =
    ("btrfs-is-not-supported-in-this-spec-version", "btrfs is not supported in this spec version");
pub(super) const FILESYSTEM_NONE_SUPPORT: Rule =
    ("format-is-not-supported-in-this-spec-version", "format \"none\" is not supported in this spec version");
pub(super) const FILE_SCHEME_SUPPORT: Rule = (
    "file-contents-source-must-be-data-url-in-this",
    "file contents source must be data URL in this spec version",
);
pub(super) const FILE_APPEND_SUPPORT: Rule = (
    "appending-to-files-is-not-supported-in-this-spec",
    "appending to files is not supported in this spec version",
);
pub(super) const FILE_COMPRESSION_SUPPORT: Rule = (
    "file-compression-is-not-supported-in-this-spec-version",
    "file compression is not supported in this spec version",
);
pub(super) const FILE_HEADER_SUPPORT: Rule = (
    "file-http-headers-are-not-supported-in-this-spec",
    "file HTTP headers are not supported in this spec version",
);
pub(super) const FILE_SPECIAL_MODE_SUPPORT: Rule = (
    "special-mode-bits-are-not-supported-in-this-spec",
    "special mode bits are not supported in this spec version",
);
pub(super) const GROUP_SUPPORT: Rule =
    ("groups-are-not-supported-in-this-spec-version", "groups are not supported in this spec version");
pub(super) const USER_FIELD_SUPPORT: Rule = (
    "fields-other-than-and-are-not-supported-in-this",
    "fields other than \"name\", \"ssh_authorized_keys\", and \"password_hash\" (4.13.0+) are not supported in this spec version",
);
pub(super) const USER_NAME_SUPPORT: Rule = (
    "users-other-than-are-not-supported-in-this-spec",
    "users other than \"core\" are not supported in this spec version",
);
pub(super) const KERNEL_ARGUMENT_SUPPORT: Rule = (
    "this-section-cannot-be-used-for-kernel-arguments-in",
    "this section cannot be used for kernel arguments in this spec version; use openshift.kernel_arguments instead",
);
pub(super) const MISSING_KERNEL_ARGUMENT_CEX: Rule = (
    "must-be-set-as-kernel-argument-when-cex-is",
    "'rd.luks.key=/etc/luks/cex.key' must be set as kernel argument when CEX is enabled for the boot device",
);
pub(super) const CLEVIS_SUPPORT: Rule =
    ("clevis-is-not-supported-in-this-spec-version", "clevis is not supported in this spec version");
pub(super) const DIRECTORY_SUPPORT: Rule = (
    "directories-are-not-supported-in-this-spec-version",
    "directories are not supported in this spec version",
);
pub(super) const DISK_SUPPORT: Rule = (
    "disk-customization-is-not-supported-in-this-spec-version",
    "disk customization is not supported in this spec version",
);
pub(super) const FILESYSTEM_SUPPORT: Rule = (
    "filesystem-customization-is-not-supported-in-this-spec-version",
    "filesystem customization is not supported in this spec version",
);
pub(super) const LINK_SUPPORT: Rule =
    ("links-are-not-supported-in-this-spec-version", "links are not supported in this spec version");
pub(super) const LUKS_SUPPORT: Rule =
    ("luks-is-not-supported-in-this-spec-version", "luks is not supported in this spec version");
pub(super) const RAID_SUPPORT: Rule =
    ("raid-is-not-supported-in-this-spec-version", "raid is not supported in this spec version");
pub(super) const GRUB_USER_NAME_NOT_SPECIFIED: Rule = ("field-is-required", "field \"name\" is required");
pub(super) const GRUB_PASSWORD_NOT_SPECIFIED: Rule =
    ("field-is-required", "field \"password_hash\" is required");
pub(super) const GENERAL_KERNEL_ARGUMENT_SUPPORT: Rule = (
    "kernel-argument-customization-is-not-supported-in-this-spec",
    "kernel argument customization is not supported in this spec version",
);
pub(super) const UNKOWN_IGNITION_VERSION: Rule = (
    "skipping-validation-for-the-merge-replace-ignition-config-due",
    "skipping validation for the merge/replace ignition config due to an unkown version",
);
