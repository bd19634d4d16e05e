//! The objects a new data directory begins with, under PostgreSQL's OIDs.

use crate::catalog::store::insert;
use crate::catalog::{DatabaseDescriptor, Descriptor, RoleDescriptor, SchemaDescriptor};
use crate::exec::txn_error;
use crate::{Oid, Result};
use std::sync::Arc;
use txn::{TxnDb, TxnOptions};

/// PostgreSQL 15's OIDs of the databases that initdb makes.
const DATABASES: [(Oid, &str); 3] = [(Oid(1), "template1"), (Oid(4), "template0"), (Oid(5), "postgres")];
/// PostgreSQL 15's OID of `information_schema`.
const INFORMATION_SCHEMA: Oid = Oid(13_207);

/// Writes them in one transaction.
pub(super) async fn create(db: &Arc<TxnDb>, verifier: Option<String>) -> Result<()> {
    let mut txn = db.begin(TxnOptions::default());
    txn.start_statement();
    let mut objects = vec![Descriptor::Role(superuser(verifier))];
    for (oid, name) in DATABASES {
        objects.push(Descriptor::Database(DatabaseDescriptor {
            oid,
            name: name.into(),
            owner: Oid::BOOTSTRAP_ROLE,
            acl: None,
        }));
        objects.extend(schemas(oid).into_iter().map(Descriptor::Schema));
    }
    for object in &objects {
        insert(&mut txn, object)?;
    }
    txn.commit().await.map_err(txn_error)?;
    Ok(())
}

/// The schemas of a new database.
pub(crate) fn schemas(database: Oid) -> Vec<SchemaDescriptor> {
    [(Oid::PG_CATALOG, "pg_catalog"), (Oid::PUBLIC, "public"), (INFORMATION_SCHEMA, "information_schema")]
        .map(|(oid, name)| SchemaDescriptor {
            oid,
            database,
            name: name.into(),
            owner: Oid::BOOTSTRAP_ROLE,
            acl: None,
        })
        .into()
}

fn superuser(verifier: Option<String>) -> RoleDescriptor {
    RoleDescriptor {
        oid: Oid::BOOTSTRAP_ROLE,
        name: "postgres".into(),
        superuser: true,
        login: true,
        create_db: true,
        create_role: true,
        inherit: true,
        verifier,
        connection_limit: -1,
        member_of: vec![],
        settings: vec![],
    }
}
