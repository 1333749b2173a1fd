//! Lines for a DHCP server that can be changed, for people who would rather not have a second responder on the wire.

use super::network::Interface;

/// The lines for dnsmasq, ISC dhcpd and Kea: loader by architecture (RFC 4578 §2.1), the script for iPXE.
pub(super) fn text(interface: &Interface) -> String {
    let address = interface.address;
    format!(
        "# With these lines your DHCP server names the boot programs itself; kpc then serves TFTP and HTTP only.\n\
         # dnsmasq\n\
         dhcp-match=set:efi64,option:client-arch,7\n\
         dhcp-match=set:efi64,option:client-arch,9\n\
         dhcp-userclass=set:ipxe,iPXE\n\
         dhcp-boot=tag:!ipxe,tag:!efi64,undionly.kpxe,,{address}\n\
         dhcp-boot=tag:!ipxe,tag:efi64,snponly.efi,,{address}\n\
         dhcp-boot=tag:ipxe,http://{address}:8080/boot.ipxe\n\
         \n\
         # ISC dhcpd\n\
         option architecture code 93 = unsigned integer 16;\n\
         next-server {address};\n\
         if exists user-class and option user-class = \"iPXE\" {{ filename \"http://{address}:8080/boot.ipxe\"; }}\n\
         elsif option architecture = 00:07 or option architecture = 00:09 {{ filename \"snponly.efi\"; }}\n\
         else {{ filename \"undionly.kpxe\"; }}\n\
         \n\
         # Kea, in \"Dhcp4\"\n\
         \"client-classes\": [\n\
         {{\"name\": \"ipxe\", \"test\": \"option[77].hex == 'iPXE'\", \"next-server\": \"{address}\", \"boot-file-name\": \"http://{address}:8080/boot.ipxe\"}},\n\
         {{\"name\": \"efi64\", \"test\": \"not member('ipxe') and (option[93].hex == 0x0007 or option[93].hex == 0x0009)\", \"next-server\": \"{address}\", \"boot-file-name\": \"snponly.efi\"}},\n\
         {{\"name\": \"bios\", \"test\": \"not member('ipxe') and option[93].hex == 0x0000\", \"next-server\": \"{address}\", \"boot-file-name\": \"undionly.kpxe\"}}]\n"
    )
}
