//! Dynamic data: `{PRIVATE_IPV4}` and its like become variables of the platform's metadata agent.

/// Where a machine runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Platform {
    /// Microsoft Azure.
    Azure,
    /// DigitalOcean.
    DigitalOcean,
    /// Amazon EC2.
    Ec2,
    /// Google Compute Engine.
    Gce,
    /// Packet.
    Packet,
    /// OpenStack by its metadata service.
    OpenStackMetadata,
    /// Vagrant with VirtualBox.
    VagrantVirtualbox,
    /// CloudStack by its config drive.
    CloudStackConfigDrive,
    /// Something else that provides the variables.
    Custom,
}

/// Every platform with the name the reference gives it.
pub const PLATFORMS: [(&str, Platform); 9] = [
    ("azure", Platform::Azure),
    ("digitalocean", Platform::DigitalOcean),
    ("ec2", Platform::Ec2),
    ("gce", Platform::Gce),
    ("packet", Platform::Packet),
    ("openstack-metadata", Platform::OpenStackMetadata),
    ("vagrant-virtualbox", Platform::VagrantVirtualbox),
    ("cloudstack-configdrive", Platform::CloudStackConfigDrive),
    ("custom", Platform::Custom),
];

impl Platform {
    /// Finds a platform by its name.
    pub fn parse(name: &str) -> Option<Self> {
        PLATFORMS.into_iter().find(|(known, _)| *known == name).map(|(_, platform)| platform)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        PLATFORMS.into_iter().find(|(_, platform)| *platform == self).map_or("", |(name, _)| name)
    }

    /// The variable that stands for a field here.
    fn variable(self, field: &str) -> Option<&'static str> {
        Some(match (self, field) {
            (Self::Azure, "PRIVATE_IPV4") => "COREOS_AZURE_IPV4_DYNAMIC",
            (Self::Azure, "PUBLIC_IPV4") => "COREOS_AZURE_IPV4_VIRTUAL",
            (Self::DigitalOcean, "HOSTNAME") => "COREOS_DIGITALOCEAN_HOSTNAME",
            (Self::DigitalOcean, "PRIVATE_IPV4") => "COREOS_DIGITALOCEAN_IPV4_PRIVATE_0",
            (Self::DigitalOcean, "PUBLIC_IPV4") => "COREOS_DIGITALOCEAN_IPV4_PUBLIC_0",
            (Self::DigitalOcean, "PRIVATE_IPV6") => "COREOS_DIGITALOCEAN_IPV6_PRIVATE_0",
            (Self::DigitalOcean, "PUBLIC_IPV6") => "COREOS_DIGITALOCEAN_IPV6_PUBLIC_0",
            (Self::Ec2, "HOSTNAME") => "COREOS_EC2_HOSTNAME",
            (Self::Ec2, "PRIVATE_IPV4") => "COREOS_EC2_IPV4_LOCAL",
            (Self::Ec2, "PUBLIC_IPV4") => "COREOS_EC2_IPV4_PUBLIC",
            (Self::Gce, "HOSTNAME") => "COREOS_GCE_HOSTNAME",
            (Self::Gce, "PRIVATE_IPV4") => "COREOS_GCE_IP_LOCAL_0",
            (Self::Gce, "PUBLIC_IPV4") => "COREOS_GCE_IP_EXTERNAL_0",
            (Self::Packet, "HOSTNAME") => "COREOS_PACKET_HOSTNAME",
            (Self::Packet, "PRIVATE_IPV4") => "COREOS_PACKET_IPV4_PRIVATE_0",
            (Self::Packet, "PUBLIC_IPV4") => "COREOS_PACKET_IPV4_PUBLIC_0",
            (Self::Packet, "PUBLIC_IPV6") => "COREOS_PACKET_IPV6_PUBLIC_0",
            (Self::OpenStackMetadata, "HOSTNAME") => "COREOS_OPENSTACK_HOSTNAME",
            (Self::OpenStackMetadata, "PRIVATE_IPV4") => "COREOS_OPENSTACK_IPV4_LOCAL",
            (Self::OpenStackMetadata, "PUBLIC_IPV4") => "COREOS_OPENSTACK_IPV4_PUBLIC",
            (Self::VagrantVirtualbox, "HOSTNAME") => "COREOS_VAGRANT_VIRTUALBOX_HOSTNAME",
            (Self::VagrantVirtualbox, "PRIVATE_IPV4") => "COREOS_VAGRANT_VIRTUALBOX_PRIVATE_IPV4",
            (Self::CloudStackConfigDrive, "HOSTNAME") => "CLOUDSTACK_LOCAL_HOSTNAME",
            (Self::Custom, "HOSTNAME") => "COREOS_CUSTOM_HOSTNAME",
            (Self::Custom, "PRIVATE_IPV4") => "COREOS_CUSTOM_PRIVATE_IPV4",
            (Self::Custom, "PUBLIC_IPV4") => "COREOS_CUSTOM_PUBLIC_IPV4",
            (Self::Custom, "PRIVATE_IPV6") => "COREOS_CUSTOM_PRIVATE_IPV6",
            (Self::Custom, "PUBLIC_IPV6") => "COREOS_CUSTOM_PUBLIC_IPV6",
            _ => return None,
        })
    }
}

/// Whether any argument has a brace, which is how the reference decides.
pub(super) fn is_used(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument.contains(['{', '}']))
}

/// Replaces fields by variables. The error is a rule's code and message.
pub(super) fn replace(
    arguments: &mut [String],
    platform: Platform,
) -> Result<(), (&'static str, &'static str)> {
    for argument in arguments {
        let mut out = String::with_capacity(argument.len() + 32);
        let mut rest = argument.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((field, tail)) = after.split_once('}') else { break };
            let variable = platform.variable(field).ok_or(("unknown-field", "unknown field"))?;
            out.push_str(before);
            out.push_str("${");
            out.push_str(variable);
            out.push('}');
            rest = tail;
        }
        out.push_str(rest);
        *argument = out;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_variables() {
        // container-linux-config-transpiler doc/dynamic-data.md
        let mut arguments = ["--name=\"{HOSTNAME}\"".to_owned(), "--a=http://{PRIVATE_IPV4}:{x".to_owned()];
        assert!(is_used(&arguments));
        replace(&mut arguments, Platform::Ec2).unwrap();
        assert_eq!(arguments[0], "--name=\"${COREOS_EC2_HOSTNAME}\"");
        assert_eq!(arguments[1], "--a=http://${COREOS_EC2_IPV4_LOCAL}:{x");
        assert!(replace(&mut ["{PUBLIC_IPV6}".to_owned()], Platform::Ec2).is_err());
    }
}
