//! Every relation that has rows gives them in its own shape.

use super::*;
use crate::catalog::CatalogSnapshot;
use crate::kernels::tests::session;

#[test]
fn rows_have_a_value_for_each_column() {
    let (catalog, session) = (CatalogSnapshot::default(), session());
    let cx = CatalogCx { catalog: &catalog, session: &session, hooks: &NoHooks };
    let mut filled = 0;
    for table in virtual_tables() {
        let Ok(rows) = table.rows(&cx) else { continue };
        filled += usize::from(!rows.is_empty());
        for row in rows {
            assert_eq!(row.len(), table.columns.len(), "{}", table.name);
        }
    }
    assert!(filled > 25, "{filled}");
}

#[test]
fn columns_are_those_of_postgres_15() {
    let class = virtual_table("pg_catalog", "pg_class").unwrap();
    assert_eq!((class.oid.0, class.columns.len(), class.columns[32].name), (1259, 33, "relpartbound"));
    assert!(virtual_table("pg_catalog", "nothing").is_none());
}
