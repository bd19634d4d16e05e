use super::*;

const USER: Source = Source::Session { superuser: false };

fn set(settings: &mut Settings, name: &str, value: &str) -> Result<()> {
    settings.set(name, Some(value), false, USER)
}

#[test]
fn values_are_checked_and_shown_as_postgres_does() {
    let mut s = Settings::default();
    set(&mut s, "Work_Mem", "4096").unwrap();
    assert_eq!(s.show("work_mem").unwrap(), "4MB");
    set(&mut s, "work_mem", "1.5 GB").unwrap();
    assert_eq!(s.show("work_mem").unwrap(), "1536MB");
    set(&mut s, "statement_timeout", "90s").unwrap();
    assert_eq!(s.show("statement_timeout").unwrap(), "90s");
    assert_eq!(s.live().statement_timeout, Some(std::time::Duration::from_secs(90)));
    set(&mut s, "statement_timeout", "0").unwrap();
    assert_eq!((s.show("statement_timeout").unwrap().as_str(), s.live().statement_timeout), ("0", None));
    set(&mut s, "datestyle", "dmy, sql").unwrap();
    assert_eq!(s.show("DateStyle").unwrap(), "SQL, DMY");
    set(&mut s, "timezone", "europe/berlin").unwrap();
    assert_eq!(s.show("TimeZone").unwrap(), "Europe/Berlin");
    set(&mut s, "timezone", "-3").unwrap();
    assert_eq!(s.show("TimeZone").unwrap(), "<-03>+03");
    set(&mut s, "enable_seqscan", "of").unwrap();
    assert_eq!(s.show("enable_seqscan").unwrap(), "off");
}

#[test]
fn refusals_carry_postgres_codes_and_words() {
    let mut s = Settings::default();
    let mut refused = |name: &str, value: &str, code: SqlState, message: &str| {
        let error = set(&mut s, name, value).unwrap_err();
        assert_eq!((error.code(), error.message()), (code, message), "{name} = {value}");
    };
    let invalid = SqlState::INVALID_PARAMETER_VALUE;
    refused("nonsense", "1", SqlState::UNDEFINED_OBJECT, "unrecognized configuration parameter \"nonsense\"");
    refused(
        "statement_timeout",
        "abc",
        invalid,
        "invalid value for parameter \"statement_timeout\": \"abc\"",
    );
    refused(
        "statement_timeout",
        "-5",
        invalid,
        "-5 ms is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)",
    );
    refused("enable_seqscan", "maybe", invalid, "parameter \"enable_seqscan\" requires a Boolean value");
    refused("bytea_output", "x", invalid, "invalid value for parameter \"bytea_output\": \"x\"");
    refused("TimeZone", "Mars/Base", invalid, "invalid value for parameter \"TimeZone\": \"Mars/Base\"");
    refused(
        "port",
        "1",
        SqlState::CANT_CHANGE_RUNTIME_PARAM,
        "parameter \"port\" cannot be changed without restarting the server",
    );
    refused(
        "server_version",
        "1",
        SqlState::CANT_CHANGE_RUNTIME_PARAM,
        "parameter \"server_version\" cannot be changed",
    );
    refused(
        "log_statement",
        "all",
        SqlState::INSUFFICIENT_PRIVILEGE,
        "permission denied to set parameter \"log_statement\"",
    );
    refused(
        "standard_conforming_strings",
        "off",
        SqlState::FEATURE_NOT_SUPPORTED,
        "standard_conforming_strings = off is not supported yet",
    );
    refused(
        "default_transaction_isolation",
        "serializable",
        SqlState::FEATURE_NOT_SUPPORTED,
        "transaction isolation level SERIALIZABLE is not supported yet",
    );
    refused("1x.y", "1", SqlState::INVALID_NAME, "invalid configuration parameter name \"1x.y\"");
}

#[test]
fn local_values_and_undo_follow_the_transaction() {
    let mut s = Settings::default();
    set(&mut s, "work_mem", "1MB").unwrap();
    let start = s.layers();
    s.set("work_mem", Some("2MB"), true, USER).unwrap();
    assert_eq!(s.show("work_mem").unwrap(), "2MB");
    let savepoint = s.layers();
    set(&mut s, "work_mem", "3MB").unwrap();
    assert_eq!(s.show("work_mem").unwrap(), "3MB");
    s.restore(savepoint);
    assert_eq!(s.show("work_mem").unwrap(), "2MB");
    s.end_transaction(None);
    assert_eq!(s.show("work_mem").unwrap(), "1MB", "SET LOCAL ends with the transaction");
    set(&mut s, "work_mem", "9MB").unwrap();
    s.end_transaction(Some(start));
    assert_eq!(s.show("work_mem").unwrap(), "1MB", "a rollback undoes SET");
}

#[test]
fn reset_goes_back_to_what_the_session_began_with() {
    let mut s = Settings::default();
    s.set_base("application_name", "psql", Source::Startup { superuser: false }).unwrap();
    set(&mut s, "application_name", "other").unwrap();
    set(&mut s, "app.user", "42").unwrap();
    assert_eq!(s.show("APP.user").unwrap(), "42");
    s.take_reports();
    s.reset_all();
    assert_eq!(s.show("application_name").unwrap(), "psql");
    assert!(s.show("app.user").is_err());
    assert_eq!(s.take_reports(), vec![("application_name", "psql".to_owned())]);
}

#[test]
fn every_row_of_the_table_accepts_its_own_default() {
    for (_, definition) in definitions() {
        value::canonical(definition, definition.default)
            .unwrap_or_else(|e| panic!("{}: {e}", definition.name));
    }
    assert!(REPORTED.iter().all(|name| find(name).is_some()));
}
