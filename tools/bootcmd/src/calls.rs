//! Each verb as calls of the interface.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;

use bootcfg::driver::grpc::Channel;
use bootcfg::driver::grpc::rpcpb::{
    self, generic_client::GenericClient, groups_client::GroupsClient, ignition_client::IgnitionClient,
    profiles_client::ProfilesClient, select_client::SelectClient,
};
use bootcfg::driver::grpc::v1::{VersionRequest, WatchRequest, store_client::StoreClient};
use bootcfg::{Compat, Group, Profile};
use serde_json::{Value, json};
use tonic::Code;

use crate::args::{Instance, Output, Record, Select, Template, Verb};
use crate::table::{go_list, go_map, table};

type Done = Result<(), Box<dyn Error>>;

/// Does what was asked.
pub(crate) async fn run(channel: Channel, verb: Verb, output: Output) -> Done {
    match verb {
        Verb::Group(record) => group(GroupsClient::new(channel), record, output).await,
        Verb::Profile(record) => profile(ProfilesClient::new(channel), record, output).await,
        Verb::Ignition(template) => ignition(IgnitionClient::new(channel), template).await,
        Verb::Generic(template) => generic(GenericClient::new(channel), template).await,
        Verb::Instance(Instance::List) => say("not implemented\n"),
        Verb::Select(what) => select(SelectClient::new(channel), what, output).await,
        Verb::Version => {
            let version = StoreClient::new(channel).version(VersionRequest {}).await?.into_inner();
            match output {
                Output::Table => say(&format!("bootcfgd {} ({})\n", version.version, version.compat)),
                Output::Json => say_json(&json!({"version": version.version, "compat": version.compat})),
            }
        }
        Verb::Watch => {
            let mut changes = StoreClient::new(channel).watch(WatchRequest {}).await?.into_inner();
            while let Some(change) = changes.message().await? {
                let broken: Vec<_> = change
                    .broken
                    .iter()
                    .map(|file| format!("{}:{}:{}: {}", file.file, file.line, file.column, file.message))
                    .collect();
                let (snapshot, groups, profiles) = (change.snapshot, change.groups, change.profiles);
                match output {
                    Output::Table => {
                        say(&format!(
                            "snapshot {snapshot}: {groups} groups, {profiles} profiles {}\n",
                            broken.join(" ")
                        ))?;
                    }
                    Output::Json => {
                        let line = json!({"snapshot": snapshot, "groups": groups, "profiles": profiles, "broken": broken});
                        say(&format!("{line}\n"))?;
                    }
                }
            }
            Ok(())
        }
    }
}

async fn group(mut groups: GroupsClient<Channel>, record: Record, output: Output) -> Done {
    match record {
        Record::List => {
            let list = groups.group_list(rpcpb::GroupListRequest {}).await?.into_inner().groups;
            show_groups(&list, output)
        }
        Record::Describe { id } => {
            let found = groups.group_get(rpcpb::GroupGetRequest { id }).await;
            show_groups(&found_or_none(found.map(|reply| reply.into_inner().group))?, output)
        }
        Record::Create { filename } => {
            let text = read(&filename)?;
            // The server normalises the selectors; here they go as written.
            let read = Group::parse("", &text, Compat::Strict).map_err(|error| at(&filename, &error))?;
            let metadata = read.metadata();
            let group = rpcpb::Group {
                id: read.id().to_string(),
                name: read.name().to_string(),
                profile: read.profile().to_string(),
                selector: single_values(&read).ok_or("a selector has a list of values, which the interface cannot carry: write the file into the data folder")?,
                metadata: if metadata.is_empty() { Vec::new() } else { Value::from(metadata).to_string().into_bytes() },
            };
            groups.group_put(rpcpb::GroupPutRequest { group: Some(group) }).await?;
            Ok(())
        }
        Record::Delete { id } => {
            groups.group_delete(rpcpb::GroupDeleteRequest { id }).await?;
            Ok(())
        }
    }
}

fn single_values(group: &Group) -> Option<HashMap<String, String>> {
    let one = |(key, values): (&str, &[Box<str>])| match values {
        [value] => Some((key.to_string(), value.to_string())),
        _ => None,
    };
    group.selector.iter().map(one).collect()
}

async fn profile(mut profiles: ProfilesClient<Channel>, record: Record, output: Output) -> Done {
    match record {
        Record::List => {
            let list = profiles.profile_list(rpcpb::ProfileListRequest {}).await?.into_inner().profiles;
            show_profiles(&list, output)
        }
        Record::Describe { id } => {
            let found = profiles.profile_get(rpcpb::ProfileGetRequest { id }).await;
            show_profiles(&found_or_none(found.map(|reply| reply.into_inner().profile))?, output)
        }
        Record::Create { filename } => {
            let text = read(&filename)?;
            let read = Profile::parse("", &text, Compat::Strict).map_err(|error| at(&filename, &error))?;
            let texts = |items: &[Box<str>]| items.iter().map(ToString::to_string).collect();
            let profile = rpcpb::Profile {
                id: read.id.to_string(),
                name: read.name.to_string(),
                ignition_id: read.ignition_id.to_string(),
                cloud_id: read.cloud_id.to_string(),
                generic_id: read.generic_id.to_string(),
                boot: read.boot.map(|boot| rpcpb::NetBoot {
                    kernel: boot.kernel.to_string(),
                    initrd: texts(&boot.initrd),
                    cmdline: boot
                        .cmdline
                        .iter()
                        .map(|(key, value)| (key.to_string(), value.to_string()))
                        .collect(),
                    args: texts(&boot.args),
                }),
            };
            profiles.profile_put(rpcpb::ProfilePutRequest { profile: Some(profile) }).await?;
            Ok(())
        }
        Record::Delete { id } => {
            profiles.profile_delete(rpcpb::ProfileDeleteRequest { id }).await?;
            Ok(())
        }
    }
}

async fn ignition(mut client: IgnitionClient<Channel>, template: Template) -> Done {
    match template {
        Template::Create { filename } => {
            let (name, config) = named(&filename)?;
            client.ignition_put(rpcpb::IgnitionPutRequest { name, config }).await?;
        }
        Template::Get { name } => {
            let config = client.ignition_get(rpcpb::IgnitionGetRequest { name }).await?.into_inner().config;
            std::io::stdout().write_all(&config)?;
        }
        Template::Delete { name } => {
            client.ignition_delete(rpcpb::IgnitionDeleteRequest { name }).await?;
        }
    }
    Ok(())
}

async fn generic(mut client: GenericClient<Channel>, template: Template) -> Done {
    match template {
        Template::Create { filename } => {
            let (name, config) = named(&filename)?;
            client.generic_put(rpcpb::GenericPutRequest { name, config }).await?;
        }
        Template::Get { name } => {
            let config = client.generic_get(rpcpb::GenericGetRequest { name }).await?.into_inner().config;
            std::io::stdout().write_all(&config)?;
        }
        Template::Delete { name } => {
            client.generic_delete(rpcpb::GenericDeleteRequest { name }).await?;
        }
    }
    Ok(())
}

async fn select(mut client: SelectClient<Channel>, what: Select, output: Output) -> Done {
    match what {
        Select::Group { labels } => {
            let labels = labels.into_iter().collect();
            let group = client.select_group(rpcpb::SelectGroupRequest { labels }).await?.into_inner().group;
            show_groups(group.as_slice(), output)
        }
        Select::Profile { labels } => {
            let labels = labels.into_iter().collect();
            let profile =
                client.select_profile(rpcpb::SelectProfileRequest { labels }).await?.into_inner().profile;
            show_profiles(profile.as_slice(), output)
        }
    }
}

fn show_groups(groups: &[rpcpb::Group], output: Output) -> Done {
    match output {
        Output::Table => {
            let mut rows = vec![["ID", "GROUP NAME", "SELECTORS", "PROFILE"].map(String::from).to_vec()];
            rows.extend(groups.iter().map(|group| {
                vec![group.id.clone(), group.name.clone(), go_map(&group.selector), group.profile.clone()]
            }));
            say(&table(&rows))
        }
        Output::Json => {
            let all = groups.iter().map(|group| {
                let metadata: Value = serde_json::from_slice(&group.metadata).unwrap_or_default();
                json!({"id": group.id, "name": group.name, "profile": group.profile, "selector": group.selector, "metadata": metadata})
            });
            say_json(&all.collect())
        }
    }
}

fn show_profiles(profiles: &[rpcpb::Profile], output: Output) -> Done {
    match output {
        Output::Table => {
            let head = ["ID", "NAME", "IGNITION", "CLOUD", "KERNEL", "INITRD", "ARGS"];
            let mut rows = vec![head.map(String::from).to_vec()];
            rows.extend(profiles.iter().map(|profile| {
                let boot = profile.boot.clone().unwrap_or_default();
                let args = if boot.args.is_empty() && !boot.cmdline.is_empty() {
                    go_map(&boot.cmdline)
                } else {
                    go_list(&boot.args)
                };
                vec![
                    profile.id.clone(),
                    profile.name.clone(),
                    profile.ignition_id.clone(),
                    profile.cloud_id.clone(),
                    boot.kernel,
                    go_list(&boot.initrd),
                    args,
                ]
            }));
            say(&table(&rows))
        }
        Output::Json => {
            let all = profiles.iter().map(|profile| {
                let boot = profile.boot.as_ref().map(|boot| {
                    json!({"kernel": boot.kernel, "initrd": boot.initrd, "args": boot.args, "cmdline": boot.cmdline})
                });
                json!({
                    "id": profile.id,
                    "name": profile.name,
                    "ignition_id": profile.ignition_id,
                    "cloud_id": profile.cloud_id,
                    "generic_id": profile.generic_id,
                    "boot": boot,
                })
            });
            say_json(&all.collect())
        }
    }
}

/// matchbox's client prints an empty table for what is not there.
fn found_or_none<T>(found: Result<Option<T>, tonic::Status>) -> Result<Vec<T>, Box<dyn Error>> {
    match found {
        Ok(record) => Ok(record.into_iter().collect()),
        Err(status) if matches!(status.code(), Code::NotFound | Code::Unknown) => Ok(Vec::new()),
        Err(status) => Err(status.into()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn named(path: &Path) -> Result<(String, Vec<u8>), Box<dyn Error>> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("the file needs a name")?;
    Ok((name.into(), read(path)?))
}

fn at(path: &Path, error: &bootcfg::JsonError) -> String {
    format!("{}:{}:{}: {}", path.display(), error.line, error.column, error.message)
}

fn say(text: &str) -> Done {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn say_json(value: &Value) -> Done {
    say(&format!("{value:#}\n"))
}
