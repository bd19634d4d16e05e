//! Object identifiers, with the ones of PostgreSQL 15's `pg_type` that the code names.

use serde::{Deserialize, Serialize};

/// An object identifier: a type, function, relation, … as in PostgreSQL's catalogs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Oid(pub u32);

impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Oid {
    /// PostgreSQL's InvalidOid.
    pub const NONE: Oid = Oid(0);
    /// The first OID of a user's object.
    pub const FIRST_USER: Oid = Oid(16384);

    pub const BOOL: Oid = Oid(16);
    pub const BYTEA: Oid = Oid(17);
    pub const CHAR: Oid = Oid(18);
    pub const NAME: Oid = Oid(19);
    pub const INT8: Oid = Oid(20);
    pub const INT2: Oid = Oid(21);
    pub const INT2VECTOR: Oid = Oid(22);
    pub const INT4: Oid = Oid(23);
    pub const REGPROC: Oid = Oid(24);
    pub const TEXT: Oid = Oid(25);
    pub const OID: Oid = Oid(26);
    pub const TID: Oid = Oid(27);
    pub const XID: Oid = Oid(28);
    pub const CID: Oid = Oid(29);
    pub const OIDVECTOR: Oid = Oid(30);
    pub const JSON: Oid = Oid(114);
    pub const XML: Oid = Oid(142);
    pub const PG_NODE_TREE: Oid = Oid(194);
    pub const JSON_ARRAY: Oid = Oid(199);
    pub const FLOAT4: Oid = Oid(700);
    pub const FLOAT8: Oid = Oid(701);
    pub const UNKNOWN: Oid = Oid(705);
    pub const MONEY: Oid = Oid(790);
    pub const BOOL_ARRAY: Oid = Oid(1000);
    pub const BYTEA_ARRAY: Oid = Oid(1001);
    pub const INT2_ARRAY: Oid = Oid(1005);
    pub const INT4_ARRAY: Oid = Oid(1007);
    pub const TEXT_ARRAY: Oid = Oid(1009);
    pub const BPCHAR_ARRAY: Oid = Oid(1014);
    pub const VARCHAR_ARRAY: Oid = Oid(1015);
    pub const INT8_ARRAY: Oid = Oid(1016);
    pub const FLOAT4_ARRAY: Oid = Oid(1021);
    pub const FLOAT8_ARRAY: Oid = Oid(1022);
    pub const OID_ARRAY: Oid = Oid(1028);
    pub const ACLITEM: Oid = Oid(1033);
    pub const BPCHAR: Oid = Oid(1042);
    pub const VARCHAR: Oid = Oid(1043);
    pub const DATE: Oid = Oid(1082);
    pub const TIME: Oid = Oid(1083);
    pub const TIMESTAMP: Oid = Oid(1114);
    pub const TIMESTAMP_ARRAY: Oid = Oid(1115);
    pub const DATE_ARRAY: Oid = Oid(1182);
    pub const TIMESTAMPTZ: Oid = Oid(1184);
    pub const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
    pub const INTERVAL: Oid = Oid(1186);
    pub const NUMERIC_ARRAY: Oid = Oid(1231);
    pub const TIMETZ: Oid = Oid(1266);
    pub const BIT: Oid = Oid(1560);
    pub const VARBIT: Oid = Oid(1562);
    pub const NUMERIC: Oid = Oid(1700);
    pub const REFCURSOR: Oid = Oid(1790);
    pub const REGPROCEDURE: Oid = Oid(2202);
    pub const REGOPER: Oid = Oid(2203);
    pub const REGOPERATOR: Oid = Oid(2204);
    pub const REGCLASS: Oid = Oid(2205);
    pub const REGTYPE: Oid = Oid(2206);
    pub const RECORD: Oid = Oid(2249);
    pub const CSTRING: Oid = Oid(2275);
    pub const ANY: Oid = Oid(2276);
    pub const ANYARRAY: Oid = Oid(2277);
    pub const VOID: Oid = Oid(2278);
    pub const TRIGGER: Oid = Oid(2279);
    pub const ANYELEMENT: Oid = Oid(2283);
    pub const RECORD_ARRAY: Oid = Oid(2287);
    pub const ANYNONARRAY: Oid = Oid(2776);
    pub const UUID: Oid = Oid(2950);
    pub const UUID_ARRAY: Oid = Oid(2951);
    pub const ANYENUM: Oid = Oid(3500);
    pub const JSONB: Oid = Oid(3802);
    pub const ANYRANGE: Oid = Oid(3831);
    pub const REGNAMESPACE: Oid = Oid(4089);
    pub const REGROLE: Oid = Oid(4096);
    pub const ANYCOMPATIBLE: Oid = Oid(5077);
    pub const ANYCOMPATIBLEARRAY: Oid = Oid(5078);
    pub const ANYCOMPATIBLENONARRAY: Oid = Oid(5079);

    /// `pg_catalog`.
    pub const PG_CATALOG: Oid = Oid(11);
    /// `public`.
    pub const PUBLIC: Oid = Oid(2200);
    /// The role `postgres`, owner of the built-in objects.
    pub const BOOTSTRAP_ROLE: Oid = Oid(10);
    /// The collation `default`.
    pub const DEFAULT_COLLATION: Oid = Oid(100);
    /// The collation `C`.
    pub const C_COLLATION: Oid = Oid(950);
}
