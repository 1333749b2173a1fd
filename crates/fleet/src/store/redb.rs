//! The store in one redb file on the deploy host. Each [`Store::append`] is one transaction, synced before
//! it returns: all of it is there after a power cut, or nothing.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::identity::{MachineId, OrderId};
use crate::job::{Job, JobId};
use crate::machine::Machine;
use crate::order::{Grant, Order};
use crate::record::{Record, Vars};
use crate::store::Store;
use crate::timeline::Event;

/// The schema that this version reads and writes.
pub const SCHEMA: u64 = 1;
/// Octets of the file that are kept in memory: after the start it is only written.
const CACHE: usize = 1 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const MACHINES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("machines");
const ORDERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("orders");
const GRANTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("grants");
const VARS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("vars");
const JOBS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("jobs");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be opened or made.
    #[error("cannot open the store {path}: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<redb::DatabaseError>,
    },
    /// The file is of another version.
    #[error(
        "the store {path} has schema {found}, this version reads {SCHEMA}: start the version that wrote it, or restore a backup"
    )]
    Schema {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// There is a store already.
    #[error("{path} is there already: move it away first")]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A file could not be moved or removed.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A read or write failed.
    #[error("store: {0}")]
    Io(Box<redb::Error>),
    /// A record cannot be read.
    #[error("store: table {table}, key {key}: {source}")]
    Record {
        /// In which table.
        table: &'static str,
        /// Under which key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A grant for this order exists and is another one: the write was refused whole.
    #[error("order {0} has a grant already")]
    GrantExists(OrderId),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Io(Box::new(error.into()))
    }
}

/// The store in one redb file.
#[derive(Debug)]
pub struct RedbStore {
    /// `None` after a failed write until it could be opened again: redb takes nothing more once its file failed.
    database: Option<Database>,
    /// Where it can be opened again; `None` on a backend of somebody else's.
    path: Option<PathBuf>,
}

impl RedbStore {
    /// Opens the file, making it when it is not there, readable by its owner alone: claims are in it.
    ///
    /// # Errors
    /// [`StoreError::Open`] and [`StoreError::Schema`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let wrong = |source| StoreError::Open { path: path.to_owned(), source: Box::new(source) };
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| wrong(redb::DatabaseError::Storage(error.into())))?;
        let backend = redb::backends::FileBackend::new(file).map_err(wrong)?;
        let database =
            redb::Builder::new().set_cache_size(CACHE).create_with_backend(backend).map_err(wrong)?;
        Self::prepare(&database, path)?;
        Ok(Self { database: Some(database), path: Some(path.to_owned()) })
    }

    /// Makes a new store of these records ([`crate::backup::restored`]) where none is: written whole beside
    /// `path`, then put in place.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is a file already, and as [`RedbStore::open`].
    pub fn create(path: impl AsRef<Path>, records: &[Record]) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if path.exists() {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file = |source| StoreError::File { path: path.to_owned(), source };
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file(error)),
            _ => {}
        }
        Self::open(&beside)?.append(records)?;
        std::fs::rename(&beside, path).map_err(file)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file)?;
        }
        Self::open(path)
    }

    /// The store on any redb backend: tests bring one that loses unsynced writes.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn on_backend(backend: impl redb::StorageBackend) -> Result<Self, StoreError> {
        let path = Path::new("(backend)");
        let database = redb::Builder::new()
            .set_cache_size(CACHE)
            .create_with_backend(backend)
            .map_err(|source| StoreError::Open { path: path.to_owned(), source: Box::new(source) })?;
        Self::prepare(&database, path)?;
        Ok(Self { database: Some(database), path: None })
    }

    /// Tables and schema.
    fn prepare(database: &Database, path: &Path) -> Result<(), StoreError> {
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get("schema")?.map(|found| found.value());
            match found {
                None => drop(meta.insert("schema", SCHEMA)?),
                Some(SCHEMA) => {}
                Some(found) => return Err(StoreError::Schema { path: path.to_owned(), found }),
            }
            for table in [MACHINES, ORDERS, GRANTS, JOBS, EVENTS] {
                transaction.open_table(table)?;
            }
            transaction.open_table(VARS)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::File {
            path: self.path.clone().unwrap_or_default(),
            source: std::io::Error::other("closed after a failed write"),
        })
    }

    /// After a failed write: what was durable is what is there.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if let (None, Some(path)) = (&self.database, self.path.clone()) {
            *self = Self::open(path)?;
        }
        Ok(())
    }
}

/// Writes all of these, or none.
fn write(database: &Database, records: &[Record]) -> Result<(), StoreError> {
    let transaction = database.begin_write()?; // a transaction dropped early writes nothing
    {
        let mut machines = transaction.open_table(MACHINES)?;
        let mut orders = transaction.open_table(ORDERS)?;
        let mut grants = transaction.open_table(GRANTS)?;
        let mut vars = transaction.open_table(VARS)?;
        let mut jobs = transaction.open_table(JOBS)?;
        let mut events = transaction.open_table(EVENTS)?;
        for record in records {
            match record {
                Record::Machine(machine) => {
                    drop(machines.insert(machine.id.0, encode("machines", machine)?.as_slice())?)
                }
                Record::Order(order) => drop(orders.insert(order.id.0, encode("orders", order)?.as_slice())?),
                Record::Grant(grant) => {
                    let octets = encode("grants", grant)?;
                    let before = grants.get(grant.order.0)?.map(|before| before.value() == octets);
                    match before {
                        Some(true) => {}
                        Some(false) => return Err(StoreError::GrantExists(grant.order)),
                        None => drop(grants.insert(grant.order.0, octets.as_slice())?),
                    }
                }
                Record::Vars { scope, vars: none } if none.is_empty() => drop(vars.remove(scope.as_str())?),
                Record::Vars { scope, vars: all } => {
                    drop(vars.insert(scope.as_str(), encode("vars", all)?.as_slice())?)
                }
                Record::Job(job) => drop(jobs.insert(job.id.0, encode("jobs", job)?.as_slice())?),
                Record::ForgetJob { job } => drop(jobs.remove(job.0)?),
                Record::Event(event) => drop(events.insert(event.seq, encode("events", event)?.as_slice())?),
                Record::ForgetEvents { seqs } => {
                    for seq in seqs {
                        events.remove(seq)?;
                    }
                }
                Record::ForgetOrder { order, .. } => drop(orders.remove(order.0)?),
            }
        }
    }
    transaction.commit()?; // Durability::Immediate is the default: synced before it returns
    Ok(())
}

impl Store for RedbStore {
    type Error = StoreError;

    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        self.reopen()?;
        let written = write(self.database()?, records);
        if self.path.is_some() && matches!(written, Err(StoreError::Io(_))) {
            self.database = None;
        }
        written
    }

    fn load(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        self.each(&mut |record| records.push(record))?;
        Ok(records)
    }

    fn each(&self, take: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        let transaction = self.database()?.begin_read()?;
        for row in transaction.open_table(MACHINES)?.iter()? {
            let (key, octets) = row?;
            take(Record::Machine(decode::<Machine>("machines", MachineId(key.value()), octets.value())?));
        }
        for row in transaction.open_table(ORDERS)?.iter()? {
            let (key, octets) = row?;
            take(Record::Order(decode::<Order>("orders", OrderId(key.value()), octets.value())?));
        }
        for row in transaction.open_table(GRANTS)?.iter()? {
            let (key, octets) = row?;
            take(Record::Grant(decode::<Grant>("grants", OrderId(key.value()), octets.value())?));
        }
        for row in transaction.open_table(VARS)?.iter()? {
            let (key, octets) = row?;
            let scope = key.value().to_owned();
            let vars = decode::<Vars>("vars", &scope, octets.value())?;
            take(Record::Vars { scope, vars });
        }
        for row in transaction.open_table(JOBS)?.iter()? {
            let (key, octets) = row?;
            take(Record::Job(decode::<Job>("jobs", JobId(key.value()), octets.value())?));
        }
        for row in transaction.open_table(EVENTS)?.iter()? {
            let (key, octets) = row?;
            take(Record::Event(decode::<Event>("events", key.value(), octets.value())?));
        }
        Ok(())
    }
}

fn encode(table: &'static str, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Record { table, key: String::new(), source })
}

fn decode<T: DeserializeOwned>(
    table: &'static str,
    key: impl std::fmt::Display,
    octets: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(octets).map_err(|source| StoreError::Record {
        table,
        key: key.to_string(),
        source,
    })
}
