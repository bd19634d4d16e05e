//! Where each virtual table gets its rows: one line a relation.

use super::definition::VirtualTable;
use super::{CatalogCx, Row};
use super::{
    activity, attribute, builtin, comment, constraint, database, depend, index, information_schema, relation,
    role, sequence, settings, types, views,
};
use crate::{Oid, Result, SqlError};

type Rows = fn(&CatalogCx<'_>) -> Result<Vec<Row>>;
/// Rows that belong to one object; `Oid::NONE`: all.
type RowsOf = fn(&CatalogCx<'_>, Oid) -> Result<Vec<Row>>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// PostgreSQL's own rows only: users cannot make more.
    Builtin,
    Computed(Rows),
    /// As `Computed`; the rows of one object, named by the column of that position, come cheaper.
    Keyed(RowsOf, usize),
    /// No such object can exist, so there is no row.
    Empty,
    /// Contents that would have to be made up.
    NotBuilt,
}

const PG_CATALOG: &[(&str, Source)] = &[
    ("pg_aggregate", Source::Builtin),
    ("pg_am", Source::Builtin),
    ("pg_amop", Source::Builtin),
    ("pg_amproc", Source::Builtin),
    ("pg_attrdef", Source::Keyed(attribute::defaults, 1)),
    ("pg_attribute", Source::Keyed(attribute::rows, 0)),
    ("pg_auth_members", Source::Computed(role::members)),
    ("pg_authid", Source::Computed(role::authid)),
    ("pg_available_extension_versions", Source::Empty),
    ("pg_available_extensions", Source::Empty),
    ("pg_cast", Source::Builtin),
    ("pg_class", Source::Keyed(relation::rows, 0)),
    ("pg_collation", Source::Builtin),
    ("pg_constraint", Source::Keyed(constraint::rows, 7)),
    ("pg_conversion", Source::Builtin),
    ("pg_database", Source::Computed(database::databases)),
    ("pg_db_role_setting", Source::Computed(role::settings)),
    ("pg_default_acl", Source::Empty),
    ("pg_depend", Source::Computed(depend::rows)),
    ("pg_description", Source::Keyed(comment::rows, 0)),
    ("pg_enum", Source::Computed(types::labels)),
    ("pg_event_trigger", Source::Empty),
    ("pg_extension", Source::Empty),
    ("pg_foreign_data_wrapper", Source::Empty),
    ("pg_foreign_server", Source::Empty),
    ("pg_foreign_table", Source::Empty),
    ("pg_group", Source::Computed(role::groups)),
    ("pg_index", Source::Keyed(index::rows, 1)),
    ("pg_indexes", Source::Computed(views::indexes)),
    ("pg_inherits", Source::Empty),
    ("pg_init_privs", Source::Empty),
    ("pg_language", Source::Builtin),
    ("pg_largeobject", Source::Empty),
    ("pg_largeobject_metadata", Source::Empty),
    ("pg_matviews", Source::Empty),
    ("pg_namespace", Source::Computed(database::namespaces)),
    ("pg_opclass", Source::Builtin),
    ("pg_operator", Source::Builtin),
    ("pg_opfamily", Source::Builtin),
    ("pg_parameter_acl", Source::Empty),
    ("pg_partitioned_table", Source::Empty),
    ("pg_policies", Source::Empty),
    ("pg_policy", Source::Empty),
    ("pg_prepared_xacts", Source::Empty),
    ("pg_proc", Source::Builtin),
    ("pg_publication", Source::Empty),
    ("pg_publication_namespace", Source::Empty),
    ("pg_publication_rel", Source::Empty),
    ("pg_publication_tables", Source::Empty),
    ("pg_range", Source::Builtin),
    ("pg_replication_origin", Source::Empty),
    ("pg_replication_origin_status", Source::Empty),
    ("pg_replication_slots", Source::Empty),
    ("pg_roles", Source::Computed(role::roles)),
    ("pg_rules", Source::Empty),
    ("pg_seclabel", Source::Empty),
    ("pg_seclabels", Source::Empty),
    ("pg_sequence", Source::Computed(sequence::rows)),
    ("pg_sequences", Source::Computed(sequence::view)),
    ("pg_settings", Source::Computed(settings::rows)),
    ("pg_shadow", Source::Computed(role::shadow)),
    ("pg_shdescription", Source::Empty),
    ("pg_shseclabel", Source::Empty),
    ("pg_stat_activity", Source::Computed(activity::rows)),
    ("pg_stat_progress_basebackup", Source::Empty),
    ("pg_stat_progress_cluster", Source::Empty),
    ("pg_stat_progress_vacuum", Source::Empty),
    ("pg_stat_replication", Source::Empty),
    ("pg_stat_replication_slots", Source::Empty),
    ("pg_stat_subscription", Source::Empty),
    ("pg_stat_subscription_stats", Source::Empty),
    ("pg_stat_user_functions", Source::Empty),
    ("pg_stat_wal_receiver", Source::Empty),
    ("pg_statistic_ext", Source::Empty),
    ("pg_statistic_ext_data", Source::Empty),
    ("pg_stats_ext", Source::Empty),
    ("pg_stats_ext_exprs", Source::Empty),
    ("pg_subscription", Source::Empty),
    ("pg_subscription_rel", Source::Empty),
    ("pg_tables", Source::Computed(views::tables)),
    ("pg_tablespace", Source::Computed(database::tablespaces)),
    ("pg_transform", Source::Empty),
    ("pg_trigger", Source::Empty),
    ("pg_ts_config", Source::Builtin),
    ("pg_ts_dict", Source::Builtin),
    ("pg_ts_parser", Source::Builtin),
    ("pg_ts_template", Source::Builtin),
    ("pg_type", Source::Keyed(types::rows, 0)),
    ("pg_user", Source::Computed(role::users)),
    ("pg_user_mapping", Source::Empty),
    ("pg_user_mappings", Source::Empty),
    ("pg_views", Source::Computed(views::views)),
];

const INFORMATION_SCHEMA: &[(&str, Source)] = &[
    ("applicable_roles", Source::Computed(information_schema::applicable_roles)),
    ("check_constraints", Source::Computed(information_schema::check_constraints)),
    ("columns", Source::Computed(information_schema::columns)),
    ("constraint_column_usage", Source::Computed(information_schema::constraint_column_usage)),
    ("constraint_table_usage", Source::Computed(information_schema::constraint_table_usage)),
    ("enabled_roles", Source::Computed(information_schema::enabled_roles)),
    ("foreign_data_wrappers", Source::Empty),
    ("foreign_servers", Source::Empty),
    ("foreign_tables", Source::Empty),
    ("information_schema_catalog_name", Source::Computed(information_schema::catalog_name)),
    ("key_column_usage", Source::Computed(information_schema::key_column_usage)),
    ("referential_constraints", Source::Computed(information_schema::referential_constraints)),
    ("schemata", Source::Computed(information_schema::schemata)),
    ("sequences", Source::Computed(information_schema::sequences)),
    ("table_constraints", Source::Computed(information_schema::table_constraints)),
    ("tables", Source::Computed(information_schema::tables)),
    ("transforms", Source::Empty),
    ("triggered_update_columns", Source::Empty),
    ("triggers", Source::Empty),
    ("user_mappings", Source::Empty),
    ("views", Source::Computed(information_schema::views)),
];

/// The source of a relation; what has no line is not built.
pub(super) fn of(pg_catalog: bool, name: &str) -> Source {
    let lines = if pg_catalog { PG_CATALOG } else { INFORMATION_SCHEMA };
    lines.iter().find(|(relation, _)| *relation == name).map_or(Source::NotBuilt, |(_, source)| *source)
}

pub(super) fn rows(table: &VirtualTable, source: Source, cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    match source {
        Source::Builtin => Ok(builtin::rows(table.name).to_vec()),
        Source::Computed(rows) => rows(cx),
        Source::Keyed(rows, _) => rows(cx, Oid::NONE),
        Source::Empty => Ok(Vec::new()),
        Source::NotBuilt => {
            Err(SqlError::not_built(format!("relation {}.{}", table.schema_name(), table.name)))
        }
    }
}

/// At least the rows whose column at `position` is `oid`.
pub(super) fn rows_of(
    table: &VirtualTable,
    source: Source,
    cx: &CatalogCx<'_>,
    position: usize,
    oid: Oid,
) -> Result<Vec<Row>> {
    match source {
        Source::Builtin => Ok(builtin::rows_of(table.name, position, oid)),
        Source::Keyed(rows, key) if key == position && oid != Oid::NONE => rows(cx, oid),
        other => self::rows(table, other, cx),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_relation() {
        for (schema, lines) in [("pg_catalog", PG_CATALOG), ("information_schema", INFORMATION_SCHEMA)] {
            for (name, _) in lines {
                assert!(super::super::virtual_table(schema, name).is_some(), "{schema}.{name}");
            }
        }
    }
}
