//! PostgreSQL 15's key words by class (`pg_get_keywords()`), and the words of ours that the
//! `sqlparser` crate must still see as key words.

/// How far a key word is reserved (SQL key words, PostgreSQL 15, appendix C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordClass {
    Unreserved,
    /// May name a column or table, not a function or type.
    ColumnName,
    /// May name a function or type.
    FunctionOrType,
    Reserved,
}

const COLUMN_NAME: &str = "between bigint bit boolean char character coalesce dec decimal exists extract float \
greatest grouping inout int integer interval least national nchar none normalize nullif numeric out overlay \
position precision real row setof smallint substring time timestamp treat trim values varchar xmlattributes \
xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

const RESERVED: &str = "all analyse analyze and any array as asc asymmetric both case cast check collate column \
constraint create current_catalog current_date current_role current_time current_timestamp current_user default \
deferrable desc distinct do else end except false fetch for foreign from grant group having in initially \
intersect into lateral leading limit localtime localtimestamp not null offset on only or order placing primary \
references returning select session_user some symmetric table then to trailing true union unique user using \
variadic when where window with";

const FUNCTION_OR_TYPE: &str = "authorization binary collation concurrently cross current_schema freeze full ilike \
inner is isnull join left like natural notnull outer overlaps right similar tablesample verbose";

const UNRESERVED: &str = "abort absolute access action add admin after aggregate also alter always asensitive \
assertion assignment at atomic attach attribute backward before begin breadth by cache call called cascade \
cascaded catalog chain characteristics checkpoint class close cluster columns comment comments commit committed \
compression configuration conflict connection constraints content continue conversion copy cost csv cube current \
cursor cycle data database day deallocate declare defaults deferred definer delete delimiter delimiters depends \
depth detach dictionary disable discard document domain double drop each enable encoding encrypted enum escape \
event exclude excluding exclusive execute explain expression extension external family filter finalize first \
following force forward function functions generated global granted groups handler header hold hour identity if \
immediate immutable implicit import include including increment index indexes inherit inherits inline input \
insensitive insert instead invoker isolation key label language large last leakproof level listen load local \
location lock locked logged mapping match matched materialized maxvalue merge method minute minvalue mode month \
move name names new next nfc nfd nfkc nfkd no normalized nothing notify nowait nulls object of off oids old \
operator option options ordinality others over overriding owned owner parallel parameter parser partial partition \
passing password plans policy preceding prepare prepared preserve prior privileges procedural procedure procedures \
program publication quote range read reassign recheck recursive ref referencing refresh reindex relative release \
rename repeatable replace replica reset restart restrict return returns revoke role rollback rollup routine \
routines rows rule savepoint schema schemas scroll search second security sequence sequences serializable server \
session set sets share show simple skip snapshot sql stable standalone start statement statistics stdin stdout \
storage stored strict strip subscription support sysid system tables tablespace temp template temporary text ties \
transaction transform trigger truncate trusted type types uescape unbounded uncommitted unencrypted unknown \
unlisten unlogged until update vacuum valid validate validator value varying version view views volatile \
whitespace within without work wrapper write xml year yes zone";

/// Key words that are no column label without AS.
const AS_LABEL: &str = "char character precision array as create except fetch for from grant group having \
intersect into limit offset on order returning to union where window with isnull notnull overlaps day filter hour \
minute month over second varying within without year";

/// Not key words of PostgreSQL, but words that the `sqlparser` crate reads types, options of roles
/// and functions with.
const SQLPARSER_ONLY: &str = "bytea uuid json jsonb date datetime timestamptz timetz int2 int4 int8 bool float4 \
float8 regclass varbit signed unsigned login nologin superuser nosuperuser createdb nocreatedb createrole \
nocreaterole noinherit replication noreplication bypassrls nobypassrls usage execute public btree hash gin gist \
spgist brin owner fillfactor called invoker definer safe unsafe restricted separator plain main permissive \
restrictive rls disable enable always never days inherit log microseconds buffers wal settings format analyze";

struct Tables {
    classes: std::collections::HashMap<&'static str, KeywordClass>,
    as_label: std::collections::HashSet<&'static str>,
    other: std::collections::HashSet<&'static str>,
}

fn tables() -> &'static Tables {
    static TABLES: std::sync::OnceLock<Tables> = std::sync::OnceLock::new();
    TABLES.get_or_init(|| {
        let lists = [
            (UNRESERVED, KeywordClass::Unreserved),
            (COLUMN_NAME, KeywordClass::ColumnName),
            (FUNCTION_OR_TYPE, KeywordClass::FunctionOrType),
            (RESERVED, KeywordClass::Reserved),
        ];
        Tables {
            classes: lists
                .iter()
                .flat_map(|(words, class)| words.split_whitespace().map(|w| (w, *class)))
                .collect(),
            as_label: AS_LABEL.split_whitespace().collect(),
            other: SQLPARSER_ONLY.split_whitespace().collect(),
        }
    })
}

/// The class of a (lower-case) word; `None`: an ordinary identifier.
pub fn class(word: &str) -> Option<KeywordClass> {
    tables().classes.get(word).copied()
}

/// Whether an unquoted word may stand as a column label without AS.
pub fn is_bare_label(word: &str) -> bool {
    !tables().as_label.contains(word)
}

/// Whether the `sqlparser` crate is to see its own key word behind that word.
pub(super) fn is_parser_keyword(word: &str) -> bool {
    tables().classes.contains_key(word) || tables().other.contains(word)
}
