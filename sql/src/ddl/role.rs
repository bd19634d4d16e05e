//! CREATE ROLE, CREATE USER, ALTER ROLE. Passwords are stored as SCRAM-SHA-256 verifiers only.

use super::change;
use super::names::{fold, parts};
use crate::catalog::{Descriptor, RoleDescriptor};
use crate::exec::ExecContext;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{AlterRoleOperation, CreateRole, Expr, Ident, Password, RoleOption, Value};

/// How a stored verifier begins; a password given in this form is stored as it is.
const VERIFIER_PREFIX: &str = "SCRAM-SHA-256$";

pub(super) async fn create(create: &CreateRole, cx: &mut ExecContext<'_>) -> Result<&'static str> {
    may_manage_roles(cx, "create role")?;
    let unbuilt = [
        (create.valid_until.is_some(), "VALID UNTIL"),
        (create.bypassrls == Some(true), "BYPASSRLS"),
        (create.replication == Some(true), "REPLICATION"),
        (
            !create.role.is_empty() || !create.user.is_empty() || !create.admin.is_empty(),
            "CREATE ROLE ... ROLE",
        ),
    ];
    if let Some((_, what)) = unbuilt.iter().find(|(asked, _)| *asked) {
        return Err(SqlError::not_built(what));
    }
    for name in &create.names {
        let name = parts(name)?.pop().unwrap_or_default();
        if name.starts_with("pg_") {
            return Err(SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
                .with_detail("Role names starting with \"pg_\" are reserved."));
        }
        let member_of = create
            .in_role
            .iter()
            .chain(&create.in_group)
            .map(|role| Ok(find(&fold(role), cx)?.oid))
            .collect::<Result<Vec<Oid>>>()?;
        let role = RoleDescriptor {
            oid: cx.node.next_oid().await?,
            name,
            superuser: create.superuser.unwrap_or(false),
            login: create.login.unwrap_or(false),
            create_db: create.create_db.unwrap_or(false),
            create_role: create.create_role.unwrap_or(false),
            inherit: create.inherit.unwrap_or(true),
            verifier: create.password.as_ref().map(verifier).transpose()?.flatten(),
            connection_limit: create.connection_limit.as_ref().map_or(Ok(-1), connection_limit)?,
            member_of,
            settings: vec![],
        };
        refuse_superuser(&role, cx)?;
        change::create(cx, Descriptor::Role(role)).await?;
    }
    Ok("CREATE ROLE")
}

pub(super) async fn alter(
    name: &Ident,
    operation: &AlterRoleOperation,
    cx: &mut ExecContext<'_>,
) -> Result<&'static str> {
    let mut role = find(&fold(name), cx)?;
    let own_password = role.oid == cx.info.role && only_password(operation);
    if !own_password {
        may_manage_roles(cx, "alter role")?;
    }
    refuse_superuser(&role, cx)?;
    match operation {
        AlterRoleOperation::RenameRole { role_name } => role.name = fold(role_name),
        AlterRoleOperation::WithOptions { options } => {
            for option in options {
                apply(&mut role, option)?;
            }
        }
        _ => return Err(SqlError::not_built("this form of ALTER ROLE")),
    }
    refuse_superuser(&role, cx)?;
    change::replace(cx, Descriptor::Role(role)).await?;
    Ok("ALTER ROLE")
}

fn only_password(operation: &AlterRoleOperation) -> bool {
    matches!(operation, AlterRoleOperation::WithOptions { options }
        if options.iter().all(|o| matches!(o, RoleOption::Password(_))))
}

fn apply(role: &mut RoleDescriptor, option: &RoleOption) -> Result<()> {
    match option {
        RoleOption::ConnectionLimit(limit) => role.connection_limit = connection_limit(limit)?,
        RoleOption::CreateDB(v) => role.create_db = *v,
        RoleOption::CreateRole(v) => role.create_role = *v,
        RoleOption::Inherit(v) => role.inherit = *v,
        RoleOption::Login(v) => role.login = *v,
        RoleOption::Password(password) => role.verifier = verifier(password)?,
        RoleOption::SuperUser(v) => role.superuser = *v,
        RoleOption::BypassRLS(false) | RoleOption::Replication(false) => {}
        other => return Err(SqlError::not_built(format!("role option {other}"))),
    }
    Ok(())
}

/// Makes the verifier of a password; `None`: PASSWORD NULL, or the empty password, which PostgreSQL
/// treats the same.
fn verifier(password: &Password) -> Result<Option<String>> {
    let Password::Password(expr) = password else { return Ok(None) };
    let text = match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.as_str(),
            Value::Null => return Ok(None),
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("syntax error at or near \"{expr}\""),
                ));
            }
        },
        _ => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{expr}\"")));
        }
    };
    Ok(match text {
        "" => None,
        text if text.starts_with(VERIFIER_PREFIX) => Some(text.to_owned()),
        text => Some(postgres_protocol::password::scram_sha_256(text.as_bytes())),
    })
}

fn connection_limit(expr: &Expr) -> Result<i32> {
    let text = expr.to_string();
    text.parse().ok().filter(|n| *n >= -1).ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection limit: {text}"))
    })
}

fn may_manage_roles(cx: &ExecContext<'_>, what: &str) -> Result<()> {
    let role = cx.txn.catalog().snapshot().role_by_oid(cx.info.role);
    if cx.info.superuser || role.is_some_and(|r| r.create_role) {
        return Ok(());
    }
    let message =
        if what == "create role" { "permission denied to create role" } else { "permission denied" };
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
}

/// Only superusers make or change superusers.
fn refuse_superuser(role: &RoleDescriptor, cx: &ExecContext<'_>) -> Result<()> {
    if role.superuser && !cx.info.superuser {
        let message = "must be superuser to alter superuser roles or change superuser attribute";
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
    }
    Ok(())
}

/// A role by name, or 42704.
pub(super) fn find(name: &str, cx: &ExecContext<'_>) -> Result<RoleDescriptor> {
    cx.txn
        .catalog()
        .snapshot()
        .role(name)
        .cloned()
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}
