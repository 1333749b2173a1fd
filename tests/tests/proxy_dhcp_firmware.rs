//! Real firmware boots through proxy-dhcpd and tftpd beside dhcpd on the same host. The whole matrix is
//! `firmware_matrix.rs`. Needs root for network namespaces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod proxy_dhcp_net;

use kpc_tests::is_root;
use proxy_dhcp_net::LeaseServer;
use proxy_dhcp_net::firmware::{Client, Scene, Variant};
use std::time::Duration;

fn boots(client: Client, proxy: &[&str]) {
    if !is_root() {
        return;
    }
    let variant = Variant { proxy: Some(proxy), ..Variant::default() };
    let Some(scene) = Scene::new(client, LeaseServer::Dhcpd, variant) else { return };
    let Some(phases) = scene.boot(client, Duration::from_secs(180)) else { return };
    assert!(phases.marker.is_some(), "{client:?}: {phases:?}\n{}", scene.logs());
    assert_eq!(phases.loader.is_some(), client.loader().is_some(), "{client:?}: {phases:?}");
    eprintln!("{client:?}: {phases:?}");
    scene.stop();
}

#[test]
fn a_bios_client_that_does_not_say_ipxe_chains_through_undionly() {
    boots(Client::BiosChain, &["--answer-router-solicitations"]);
}

#[test]
fn uefi_pxe_chains_through_snponly() {
    boots(Client::UefiPxe, &["--answer-router-solicitations"]);
}

/// KPC's dnsmasq command, replaced by its translation: the same machine boots.
#[test]
fn kpcs_dnsmasq_flags_boot_the_same_machine() {
    let flags = "--dhcp-range=10.77.0.1,proxy --enable-tftp --tftp-root=/var/lib/tftpboot \
        --dhcp-userclass=set:ipxe,iPXE --pxe-service=tag:#ipxe,x86PC,\"PXE chainload to iPXE\",undionly.kpxe \
        --pxe-service=tag:ipxe,x86PC,\"iPXE\",http://10.77.0.1:8080/boot.ipxe";
    let mut translate = std::process::Command::new(kpc_tests::binary("proxy-dhcpd"));
    let (done, text) = kpc_tests::run_within(translate.args(["--dnsmasq", flags]), Duration::from_secs(10));
    assert!(done, "{text}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, text).unwrap();
    boots(Client::BiosChain, &["--config", file.to_str().unwrap(), "--answer-router-solicitations"]);
}
