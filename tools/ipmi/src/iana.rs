//! Names of enterprise numbers: the makers of BMCs are compiled in, the rest is looked up in the system's
//! list when somebody asks.

use std::path::Path;

/// Where distributions keep IANA's list.
const LISTS: [&str; 3] = [
    "/usr/share/misc/enterprise-numbers.txt",
    "/usr/share/misc/enterprise-numbers",
    "/usr/share/ipmitool/enterprise-numbers",
];

/// Makers whose BMCs are met in racks.
const MAKERS: [(u32, &str); 22] = [
    (0, "Unknown"),
    (2, "IBM"),
    (9, "ciscoSystems"),
    (11, "Hewlett-Packard"),
    (42, "Sun Microsystems"),
    (119, "NEC Corporation"),
    (343, "Intel Corporation"),
    (373, "Tatung Co., Ltd."),
    (674, "Dell Inc."),
    (1734, "American Megatrends, Inc."),
    (2011, "HUAWEI Technology Co.,Ltd"),
    (4128, "ARM Ltd."),
    (5771, "Cisco Systems, Inc."),
    (7154, "The IPMI forum"),
    (7244, "Quanta Computer Inc."),
    (10368, "Fujitsu Technology Solutions GmbH"),
    (10876, "Super Micro Computer Inc."),
    (15370, "Giga-Byte Technology Co., Ltd"),
    (19046, "Lenovo Enterprise Business Group"),
    (37945, "Inspur Group Co.,Ltd."),
    (47196, "Hewlett Packard Enterprise"),
    (49769, "YADRO"),
];

/// The name of a number; `Unknown` when nobody knows.
pub(crate) fn name(number: u32) -> String {
    if number == 0 {
        return "Unknown".to_owned();
    }
    let listed = LISTS.iter().find_map(|path| search(&std::fs::read(Path::new(path)).ok()?, number));
    let known = || MAKERS.iter().find(|(n, _)| *n == number).map(|(_, name)| (*name).to_owned());
    listed.or_else(known).unwrap_or_else(|| format!("Unknown (0x{number:X})"))
}

/// IANA's form: the number on a line of its own, the name on the next, indented.
fn search(list: &[u8], number: u32) -> Option<String> {
    let wanted = number.to_string();
    let mut lines = list.split(|octet| *octet == b'\n');
    while let Some(line) = lines.next() {
        if line == wanted.as_bytes() {
            let name = String::from_utf8_lossy(lines.next()?).trim().to_owned();
            return (!name.is_empty()).then_some(name);
        }
    }
    None
}
