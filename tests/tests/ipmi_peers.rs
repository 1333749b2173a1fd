//! IPMI against real peers: our client against ipmi_sim and pyghmi's BMC; our virtual BMC against ipmitool,
//! FreeIPMI and pyghmi; every cipher suite that the pair can speak.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

mod ipmi_support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use ipmi::CipherSuite;
use ipmi::command::chassis::{BootDevice, BootOptions, ChassisControl};
use ipmi::driver::{Bmc, BmcConfig, BmcError, Credentials};
use ipmi::session::Protocol;
use ipmi::wire::session::AuthType;
use ipmi_support::{GUID, Guard, Ours, Sim, answers, config, free_port, peer, python, run, stdout};

fn login(addr: SocketAddr, user: &str, password: &str) -> BmcConfig {
    BmcConfig::new(addr, Credentials::new(user, password.as_bytes()).unwrap())
}

fn suite(id: u8) -> Vec<CipherSuite> {
    vec![CipherSuite::from_id(id).unwrap()]
}

/// Power on, reset, off; PXE once.
async fn exercise(config: BmcConfig) -> Result<Bmc, BmcError> {
    let mut bmc = Bmc::connect(config).await?;
    bmc.chassis_control(ChassisControl::PowerUp).await?;
    assert!(bmc.chassis_status().await?.power_on());
    bmc.chassis_control(ChassisControl::HardReset).await?;
    bmc.set_boot_device(BootDevice::Pxe, BootOptions::default()).await?;
    bmc.chassis_control(ChassisControl::PowerDown).await?;
    assert!(!bmc.chassis_status().await?.power_on());
    Ok(bmc)
}

// ipmi_sim speaks suites 0-3, 6 and 11 (7, 8 and 12 it computes with other keys than everybody) and 1.5.
#[tokio::test]
async fn our_client_and_ipmi_sim() {
    let Some(sim) = Sim::start("").await else { return };
    for id in [0, 1, 2, 3, 6, 11] {
        let config = login(sim.addr, "root", "calvin").with_suites(suite(id));
        let bmc = exercise(config).await.unwrap_or_else(|error| panic!("suite {id}: {error}"));
        assert_eq!(bmc.suite().unwrap().id, id);
        bmc.close().await;
    }
    let changes = sim.changes();
    let count = |what: &str| changes.iter().filter(|line| line.contains(what)).count();
    // Six rounds of on, reset, off and one boot device: each seen once.
    assert_eq!((count("power 1"), count("reset 1"), count("power 0"), count("boot pxe")), (6, 6, 6, 6));
    // A simulator of its own: this one crashes when a 1.5 session takes the place an RMCP+ session had.
    let Some(old) = Sim::start("").await else { return };
    for auth_type in [AuthType::None, AuthType::Md5, AuthType::Password] {
        let mut config = login(old.addr, "root", "calvin");
        config.session.protocol = Protocol::V15(Some(auth_type));
        let bmc = exercise(config).await.unwrap_or_else(|error| panic!("{auth_type:?}: {error}"));
        bmc.close().await;
    }
    assert_eq!(old.changes().iter().filter(|line| line.contains("reset 1")).count(), 3);
    // Suite 17 is refused and 3 taken, without a pause.
    let bmc = Bmc::connect(login(sim.addr, "root", "calvin")).await.unwrap();
    assert_eq!(bmc.suite(), Some(CipherSuite::SUITE_3));
    assert_eq!(bmc.managed_system_guid()[..2], [0xa1, 0x23]);
    bmc.close().await;
}

#[tokio::test]
async fn errors_against_ipmi_sim_are_told_apart() {
    let Some(sim) = Sim::start("").await else { return };
    let kind = async |config: BmcConfig| Bmc::connect(config).await.unwrap_err().kind();
    assert_eq!(kind(login(sim.addr, "root", "wrong")).await, "wrong-password");
    assert_eq!(kind(login(sim.addr, "nobody", "x")).await, "unknown-user");
    assert_eq!(kind(login(sim.addr, "root", "calvin").with_suites(suite(17))).await, "suite-refused");
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    assert_eq!(kind(login(closed, "root", "calvin")).await, "unreachable");
    // The user may read, not switch: the command itself says so.
    let mut bmc =
        Bmc::connect(login(sim.addr, "guest", "guest").with_privilege(ipmi::Privilege::User)).await.unwrap();
    let error = bmc.chassis_control(ChassisControl::PowerUp).await.unwrap_err();
    assert_eq!(error.kind(), "privilege");
}

#[tokio::test]
async fn two_key_login_to_ipmi_sim() {
    let Some(sim) = Sim::start("KpcTwoKey").await else { return };
    let credentials = Credentials::new("root", b"calvin").unwrap();
    let right = BmcConfig::new(sim.addr, credentials.clone().with_k_g(b"KpcTwoKey").unwrap());
    exercise(right).await.unwrap().close().await;
    let wrong = Bmc::connect(BmcConfig::new(sim.addr, credentials)).await.unwrap_err();
    assert!(matches!(wrong.kind(), "wrong-kg" | "wrong-password"), "{wrong}");
}

#[tokio::test]
async fn our_client_and_pyghmi_bmc() {
    let Some(mut command) = python() else { return };
    let port = free_port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ipmi_support/pyghmi_bmc.py");
    command.arg(script).arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    let _guard = Guard(command.spawn().unwrap());
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    answers(addr).await;
    let mut bmc = Bmc::connect(login(addr, "admin", "password").with_suites(suite(3))).await.unwrap();
    bmc.chassis_control(ChassisControl::PowerUp).await.unwrap();
    assert!(bmc.chassis_status().await.unwrap().power_on());
    bmc.chassis_control(ChassisControl::PowerDown).await.unwrap();
    assert!(!bmc.chassis_status().await.unwrap().power_on());
    bmc.close().await;
    let wrong = login(addr, "admin", "wrong").with_suites(suite(3));
    assert_eq!(Bmc::connect(wrong).await.unwrap_err().kind(), "wrong-password");
}

#[tokio::test]
async fn our_client_and_our_bmc() {
    let ours = Ours::start(config());
    for suite in CipherSuite::ALL {
        let config = login(ours.addr, "long", "abcdefghijklmnopqrst").with_suites(vec![suite]);
        let mut bmc = exercise(config).await.unwrap_or_else(|error| panic!("{suite}: {error}"));
        assert_eq!((bmc.managed_system_guid(), bmc.system_guid().await.unwrap()), (GUID, GUID));
        bmc.close().await;
    }
    assert_eq!(ours.log().len(), 4 * 12);
}

// ipmitool aborts on suites 11 and 12 by itself; it speaks all others and IPMI 1.5.
#[tokio::test]
async fn ipmitool_and_our_bmc() {
    let ours = Ours::start(config());
    let port = ours.addr.port().to_string();
    let mut forms: Vec<Vec<&str>> = Vec::new();
    for suite in ["0", "1", "2", "3", "6", "7", "8", "15", "16", "17"] {
        forms.push(vec!["-I", "lanplus", "-C", suite]);
    }
    forms.push(vec!["-I", "lanplus"]);
    for auth_type in ["NONE", "MD5", "PASSWORD"] {
        forms.push(vec!["-I", "lan", "-A", auth_type]);
    }
    let rounds = forms.len();
    for form in forms {
        for (words, expected) in [
            (&["power", "on"][..], "Chassis Power Control: Up/On"),
            (&["power", "status"], "Chassis Power is on"),
            (&["chassis", "bootdev", "pxe", "options=efiboot"], "Set Boot Device to pxe"),
            (&["power", "reset"], "Chassis Power Control: Reset"),
            (&["power", "off"], "Chassis Power Control: Down/Off"),
        ] {
            let Some(command) = peer("ipmitool") else { return };
            let mut arguments = form.clone();
            arguments.extend(["-H", "127.0.0.1", "-p", &port, "-U", "root", "-P", "calvin"]);
            arguments.extend(words);
            let output = run(command, &arguments).await;
            assert_eq!(stdout(&output), expected, "{form:?} {words:?}: {output:?}");
        }
    }
    assert_eq!(ours.log().len(), rounds * 4);
}

#[tokio::test]
async fn freeipmi_and_our_bmc() {
    let ours = Ours::start(config());
    let host = format!("127.0.0.1:{}", ours.addr.port());
    for suite in ["0", "1", "2", "3", "6", "7", "8", "11", "12", "15", "16", "17"] {
        for (action, expected) in [("--on", "ok"), ("--stat", "on"), ("--reset", "ok"), ("--off", "ok")] {
            let Some(command) = peer("ipmipower") else { return };
            let arguments = [
                "-D", "LAN_2_0", "-I", suite, "-h", &host, "-u", "root", "-p", "calvin", "-l", "ADMIN",
                action,
            ];
            let output = run(command, &arguments).await;
            let text = stdout(&output);
            assert!(text.ends_with(&format!(": {expected}")), "suite {suite} {action}: {output:?}");
        }
    }
    assert_eq!(ours.log().len(), 12 * 3);
}

#[tokio::test]
async fn pyghmi_and_our_bmc() {
    let mut ours = config();
    ours.suites = vec![CipherSuite::SUITE_3, CipherSuite::SUITE_17];
    let ours = Ours::start(ours);
    let Some(command) = python() else { return };
    let script = format!(
        "from pyghmi.ipmi import command\n\
         c = command.Command('127.0.0.1', 'root', 'calvin', port={})\n\
         c.set_power('on', wait=True)\n\
         print(c.get_power()['powerstate'])\n\
         c.set_bootdev('network')\n\
         c.set_power('reset')\n\
         print(c.get_bootdev()['bootdev'])\n",
        ours.addr.port()
    );
    let output = run(command, &["-c", &script]).await;
    assert!(stdout(&output).starts_with("on\n"), "{output:?}");
    assert_eq!(ours.log(), ["PowerUp", "Pxe", "HardReset"]);
}
