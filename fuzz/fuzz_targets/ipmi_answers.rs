//! Arbitrary answers to every command that a console sends, and to a scan.
#![no_main]

use std::net::SocketAddr;
use std::time::Instant;

use ipmi::Command;
use ipmi::command::app::{GetChannelAuthCapabilities, GetDeviceGuid, GetDeviceId, GetSystemGuid};
use ipmi::command::channel::{
    GetChannelAccess, GetChannelCipherSuites, GetChannelInfo, GetSessionInfo, cipher_suite_records,
};
use ipmi::command::chassis::{GetBootOptions, GetChassisStatus};
use ipmi::command::fru::{GetFruInventoryAreaInfo, ReadFruData};
use ipmi::command::lan::GetLanParameter;
use ipmi::command::reading::{
    GetSensorEventEnable, GetSensorEventStatus, GetSensorReading, GetSensorThresholds,
};
use ipmi::command::sdr::{GetSdr, GetSdrRepositoryInfo, ReserveSdrRepository};
use ipmi::command::sel::{GetSelEntry, GetSelInfo, GetSelTime, ReserveSel};
use ipmi::command::sol::{ActivateSol, GetSolParameter};
use ipmi::command::user::{GetUserAccess, GetUserName};
use ipmi::scan::{Config, Scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let privilege = ipmi::Privilege::User;
    let _ = GetChannelAuthCapabilities { channel: 14, privilege, v20: true }.parse_reply(octets);
    let _ = GetDeviceId.parse_reply(octets);
    let _ = GetDeviceGuid.parse_reply(octets);
    let _ = GetSystemGuid.parse_reply(octets);
    let _ = GetChannelAccess { channel: 1, volatile: true }.parse_reply(octets);
    let _ = GetChannelCipherSuites { channel: 1, payload_type: 0, index: 0 }.parse_reply(octets);
    let _ = GetChannelInfo(1).parse_reply(octets);
    let _ = GetSessionInfo::Current.parse_reply(octets);
    let _ = cipher_suite_records(octets);
    let _ = GetChassisStatus.parse_reply(octets);
    let _ = GetBootOptions { parameter: 5, set: 0, block: 0 }.parse_reply(octets);
    let _ = GetFruInventoryAreaInfo(0).parse_reply(octets);
    let _ = ReadFruData { device: 0, offset: 0, count: 8 }.parse_reply(octets);
    let _ = GetLanParameter { channel: 1, parameter: 3, set: 0 }.parse_reply(octets);
    let _ = GetSensorReading { number: 1, lun: 0 }.parse_reply(octets);
    let _ = GetSensorThresholds(1).parse_reply(octets);
    let _ = GetSensorEventEnable(1).parse_reply(octets);
    let _ = GetSensorEventStatus(1).parse_reply(octets);
    let _ = GetSdrRepositoryInfo.parse_reply(octets);
    let _ = ReserveSdrRepository.parse_reply(octets);
    let _ = GetSdr { reservation: 0, record: 0, offset: 0, count: 5 }.parse_reply(octets);
    let _ = GetSelInfo.parse_reply(octets);
    let _ = GetSelTime.parse_reply(octets);
    let _ = ReserveSel.parse_reply(octets);
    if let Ok((_, record)) = GetSelEntry(0).parse_reply(octets)
        && let Some(event) = record.event()
    {
        let _ = (event.text(), event.trigger());
    }
    let _ = ActivateSol { instance: 1, encrypted: true, authenticated: true }.parse_reply(octets);
    let _ = GetSolParameter { channel: 1, parameter: 0 }.parse_reply(octets);
    let _ = GetUserAccess { channel: 1, user: 1 }.parse_reply(octets);
    let _ = GetUserName(1).parse_reply(octets);

    let (now, addr) = (Instant::now(), SocketAddr::from(([192, 0, 2, 1], 623)));
    let mut scan = Scan::new(now, Config { details: true, ..Config::default() }, [addr]);
    let (mut rest, mut out) = (octets, Vec::new());
    while let [length, tail @ ..] = rest {
        let (datagram, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let _ = scan.handle_datagram(now, addr, datagram);
        while scan.poll_transmit(&mut out).is_some() {}
        while scan.poll_event().is_some() {}
        rest = tail;
    }
});
