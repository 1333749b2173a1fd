//! Between the file's tables and the library's rules, in both directions.

use crate::file::{FormKey, ItemTable, OptionTable, PromptTable, RuleTable, When};
use proxy_dhcp::wire::Feature;
use proxy_dhcp::{
    Answer, BootProgram, Choice, Condition, FIRST_TYPE, Form, MacMask, Menu, MenuItem, OptionTest,
    OptionValue, Patience, Prompt, Rule,
};
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::time::Duration;

/// What is wrong with a rule, in words.
type Problem = String;

/// The address of a boot server: written, or looked up now.
pub(crate) fn resolve(server: &str) -> Option<Ipv4Addr> {
    let found = (server, 0).to_socket_addrs().ok()?;
    found.into_iter().find_map(|address| match address.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

pub(crate) fn address(server: &str) -> Result<Ipv4Addr, Problem> {
    resolve(server).ok_or_else(|| format!("server `{server}` has no IPv4 address"))
}

/// A rule of the library. `next_type` numbers the menu items of the whole file.
pub(crate) fn rule(table: &RuleTable, number: usize, next_type: &mut u16) -> Result<Rule, Problem> {
    let kinds = [table.boot.is_some(), !table.menu.is_empty(), table.local, table.silent.is_some()];
    if kinds.iter().filter(|given| **given).count() != 1 {
        return Err("give one of `boot`, `menu`, `local` or `silent`".to_owned());
    }
    let answer = if let Some(file) = &table.boot {
        Answer::Boot(program(file, table.server.as_deref(), table.form)?)
    } else if let Some(reason) = &table.silent {
        Answer::Silent(reason.clone())
    } else if table.local {
        Answer::LocalBoot
    } else {
        let items = table.menu.iter().map(|table| item(table, next_type)).collect::<Result<_, _>>()?;
        let prompt = table.prompt.as_ref().map(|p| Prompt { text: p.text.clone(), timeout: p.timeout });
        Answer::Menu(Menu { items, prompt })
    };
    let patience = Patience {
        delay: Duration::from_millis(table.delay_ms.unwrap_or_default()),
        min_secs: table.min_secs.unwrap_or_default(),
    };
    let name = table.name.clone().unwrap_or_else(|| format!("rule {number}"));
    Ok(Rule { patience, ..Rule::new(name, condition(&table.when)?, answer) })
}

/// A program; the file is left as it is, `{server}` included.
pub(crate) fn program(
    file: &str,
    server: Option<&str>,
    form: Option<FormKey>,
) -> Result<BootProgram, Problem> {
    let form = match form {
        None => Form::Auto,
        Some(FormKey::Direct) => Form::Direct,
        Some(FormKey::Binl) => Form::Binl,
        Some(FormKey::Http) => Form::Http,
    };
    let program = BootProgram::new(file).form(form);
    Ok(match server {
        Some(server) => program.server(address(server)?),
        None => program,
    })
}

fn item(table: &ItemTable, next_type: &mut u16) -> Result<MenuItem, Problem> {
    let choice = match (&table.boot, &table.server, table.server_type) {
        (Some(file), server, _) => Choice::Boot(program(file, server.as_deref(), table.form)?),
        (None, Some(server), Some(_)) => Choice::Elsewhere(Some(address(server)?)),
        (None, None, Some(1..)) => Choice::Elsewhere(None),
        (None, None, _) => Choice::LocalBoot,
        (None, Some(_), None) => return Err(format!("menu item `{}`: give `server-type`", table.text)),
    };
    let server_type = table.server_type.unwrap_or_else(|| match choice {
        Choice::Boot(_) => {
            *next_type = next_type.saturating_add(1);
            FIRST_TYPE.saturating_add(*next_type - 1)
        }
        Choice::Elsewhere(_) | Choice::LocalBoot => 0,
    });
    Ok(MenuItem { server_type, text: table.text.clone(), when: condition(&table.when)?, choice })
}

fn condition(when: &When) -> Result<Condition, Problem> {
    let optional = |text: &Option<String>| text.as_deref().map(octets).transpose();
    let feature = |name: &String| {
        let known = Feature::NAMES.iter().find(|(known, _)| known == name).map(|(_, feature)| *feature);
        known.ok_or_else(|| format!("no feature of iPXE is called `{name}`"))
    };
    Ok(Condition {
        archs: when
            .arch
            .iter()
            .map(|name| name.parse().map_err(|error| format!("`{name}`: {error}")))
            .collect::<Result<_, _>>()?,
        ipxe: when.ipxe,
        user_class: optional(&when.user_class)?,
        vendor_class: optional(&when.vendor_class)?,
        mac: when.mac.as_deref().map(mac).transpose()?,
        uuid: when.uuid.as_deref().map(uuid).transpose()?,
        features: when.features.iter().map(feature).collect::<Result<_, _>>()?,
        options: when.options.iter().map(option).collect::<Result<_, _>>()?,
        circuit_id: optional(&when.circuit_id)?,
        remote_id: optional(&when.remote_id)?,
        interface: when.interface.clone(),
        relay: when.relay,
        any: when.any.iter().map(condition).collect::<Result<_, _>>()?,
        none: when.none.iter().map(condition).collect::<Result<_, _>>()?,
    })
}

fn option(table: &OptionTable) -> Result<OptionTest, Problem> {
    let value = match (&table.equals, &table.contains) {
        (None, None) => OptionValue::Present,
        (Some(value), None) => OptionValue::Equals(octets(value)?),
        (None, Some(value)) => OptionValue::Contains(octets(value)?),
        (Some(_), Some(_)) => return Err(format!("option {}: give `equals` or `contains`", table.code)),
    };
    Ok(OptionTest { code: table.code, value })
}

fn octets(text: &str) -> Result<Vec<u8>, Problem> {
    match text.strip_prefix("hex:") {
        None => Ok(text.as_bytes().to_vec()),
        Some(hex) => digits(hex).ok_or_else(|| format!("`{text}` is not hexadecimal octets")),
    }
}

/// Pairs of hexadecimal digits; colons and dashes between them do not count.
fn digits(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b'-')).collect();
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn mac(text: &str) -> Result<MacMask, Problem> {
    let mut mac = MacMask { address: [0; 6], mask: [0; 6] };
    let words: Vec<&str> = text.split([':', '-']).collect();
    let problem = || format!("`{text}` is not a hardware address (`52:54:00:*:*:*` leaves octets open)");
    if words.len() != 6 {
        return Err(problem());
    }
    for ((word, address), mask) in words.iter().zip(&mut mac.address).zip(&mut mac.mask) {
        if *word != "*" {
            (*address, *mask) = (u8::from_str_radix(word, 16).map_err(|_| problem())?, 0xff);
        }
    }
    Ok(mac)
}

fn uuid(text: &str) -> Result<[u8; 16], Problem> {
    digits(text).and_then(|octets| octets.try_into().ok()).ok_or_else(|| format!("`{text}` is not a UUID"))
}

/// The tables of a rule.
pub(crate) fn table(rule: &Rule) -> RuleTable {
    let mut table = RuleTable {
        name: Some(rule.name.clone()),
        when: when(&rule.when),
        delay_ms: u64::try_from(rule.patience.delay.as_millis()).ok().filter(|delay| *delay > 0),
        min_secs: Some(rule.patience.min_secs).filter(|secs| *secs > 0),
        ..RuleTable::default()
    };
    match &rule.answer {
        Answer::Boot(program) => {
            table.boot = Some(program.file().to_owned());
            (table.server, table.form) = place(program);
        }
        Answer::Menu(menu) => {
            table.prompt =
                menu.prompt.as_ref().map(|p| PromptTable { text: p.text.clone(), timeout: p.timeout });
            table.menu = menu.items.iter().map(item_table).collect();
        }
        Answer::LocalBoot => table.local = true,
        Answer::Silent(reason) => table.silent = Some(reason.clone()),
    }
    table
}

fn place(program: &BootProgram) -> (Option<String>, Option<FormKey>) {
    let form = match program.configured_form() {
        Form::Auto => None,
        Form::Direct => Some(FormKey::Direct),
        Form::Binl => Some(FormKey::Binl),
        Form::Http => Some(FormKey::Http),
    };
    (program.server_address().map(|address| address.to_string()), form)
}

fn item_table(item: &MenuItem) -> ItemTable {
    let mut table = ItemTable {
        text: item.text.clone(),
        server_type: Some(item.server_type),
        when: when(&item.when),
        ..ItemTable::default()
    };
    match &item.choice {
        Choice::Boot(program) => {
            table.boot = Some(program.file().to_owned());
            (table.server, table.form) = place(program);
        }
        Choice::Elsewhere(address) => table.server = address.map(|address| address.to_string()),
        Choice::LocalBoot => {}
    }
    table
}

fn when(condition: &Condition) -> When {
    let feature = |feature: &Feature| {
        Feature::NAMES.iter().find(|(_, known)| known == feature).map(|(name, _)| (*name).to_owned())
    };
    When {
        arch: condition.archs.iter().map(ToString::to_string).collect(),
        ipxe: condition.ipxe,
        user_class: condition.user_class.as_deref().map(text),
        vendor_class: condition.vendor_class.as_deref().map(text),
        mac: condition.mac.map(mac_text),
        uuid: condition.uuid.map(|uuid| hex(&uuid).replace(':', "")),
        features: condition.features.iter().filter_map(feature).collect(),
        options: condition.options.iter().map(option_table).collect(),
        circuit_id: condition.circuit_id.as_deref().map(text),
        remote_id: condition.remote_id.as_deref().map(text),
        interface: condition.interface.clone(),
        relay: condition.relay,
        any: condition.any.iter().map(when).collect(),
        none: condition.none.iter().map(when).collect(),
    }
}

fn option_table(test: &OptionTest) -> OptionTable {
    let (equals, contains) = match &test.value {
        OptionValue::Present => (None, None),
        OptionValue::Equals(octets) => (Some(text(octets)), None),
        OptionValue::Contains(octets) => (None, Some(text(octets))),
    };
    OptionTable { code: test.code, equals, contains }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

/// Octets as text where they are, else as hexadecimal.
fn text(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) if octets.iter().all(|octet| matches!(octet, 0x20..=0x7e)) && !text.starts_with("hex:") => {
            text.to_owned()
        }
        _ => format!("hex:{}", hex(octets)),
    }
}

fn mac_text(mac: MacMask) -> String {
    let octets = mac.address.iter().zip(mac.mask);
    octets
        .map(|(octet, mask)| if mask == 0xff { format!("{octet:02x}") } else { "*".to_owned() })
        .collect::<Vec<_>>()
        .join(":")
}
