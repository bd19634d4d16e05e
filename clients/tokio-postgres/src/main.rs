//! tokio-postgres: binary always, pipelining by concurrent futures, COPY, cancel, notifications are left to others.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_postgres::{Client, Config, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

type Failure = Box<dyn Error + Send + Sync>;

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn tls() -> Result<MakeRustlsConnect, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(env("PGSSLROOTCERT"))? {
        roots.add(certificate?)?;
    }
    Ok(MakeRustlsConnect::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

async fn connect(password: &str) -> Result<Client, Failure> {
    let mut config = Config::new();
    config.host(env("PGHOST")).port(env("PGPORT").parse()?).user(env("PGUSER")).dbname(env("PGDATABASE"));
    config.password(password).ssl_mode(tokio_postgres::config::SslMode::Require);
    let (client, connection) = config.connect(tls()?).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn value<T>(client: &Client, kind: &str, given: T) -> Result<(), Failure>
where
    T: ToSql + Sync + PartialEq + std::fmt::Debug + for<'a> tokio_postgres::types::FromSql<'a>,
{
    let row = client.query_one(&format!("select $1::{kind}"), &[&given]).await?;
    let got: T = row.try_get(0)?;
    if got == given { Ok(()) } else { Err(format!("{kind}: got {got:?}, want {given:?}").into()) }
}

async fn code(client: &Client, sql: &str, want: &str) -> Result<(), Failure> {
    match client.execute(sql, &[]).await {
        Err(error) if error.code().is_some_and(|code| code.code() == want) => Ok(()),
        other => Err(format!("{sql}: {other:?}, want {want}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut client = connect(&env("PGPASSWORD")).await?;
    value(&client, "int2", 7i16).await?;
    value(&client, "int4", i32::MIN).await?;
    value(&client, "int8", i64::MAX).await?;
    value(&client, "float8", 0.1f64).await?;
    value(&client, "text", "żółć ' \\".to_owned()).await?;
    value(&client, "bool", true).await?;
    value(&client, "bytea", vec![0u8, 255]).await?;
    value(&client, "int4[]", vec![Some(1i32), None]).await?;
    value(&client, "text", None::<String>).await?;
    value(&client, "uuid", uuid::Uuid::from_u128(7)).await?;
    value(&client, "jsonb", serde_json::json!({"a": [1, null]})).await?;
    client.batch_execute("drop table if exists drv_tokio; create table drv_tokio (a int primary key, b text)").await?;
    let mut transaction = client.transaction().await?;
    transaction.execute("insert into drv_tokio values ($1, $2)", &[&1i32, &"x"]).await?;
    let nested = transaction.savepoint("s").await?;
    if nested.execute("insert into drv_tokio values ($1, $2)", &[&1i32, &"y"]).await.is_ok() {
        return Err("duplicate accepted".into());
    }
    nested.rollback().await?;
    transaction.commit().await?;
    code(&client, "insert into drv_tokio values (1, 'z')", "23505").await?;
    code(&client, "select 1/0", "22012").await?;
    code(&client, "select * from drv_nosuch", "42P01").await?;
    let (first, second) = futures::try_join!(
        client.query_one("select count(*) from drv_tokio", &[]),
        client.query_one("select b from drv_tokio where a = $1", &[&1i32]),
    )?;
    assert_eq!((first.get::<_, i64>(0), second.get::<_, &str>(0)), (1, "x"));
    let sink = client.copy_in("copy drv_tokio from stdin").await?;
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"10\tten\n11\t\\N\n")).await?;
    assert_eq!(sink.finish().await?, 2);
    let out = client.copy_out("copy (select * from drv_tokio where a >= 10 order by a) to stdout").await?;
    pin_mut!(out);
    let mut text = Vec::new();
    while let Some(chunk) = out.next().await {
        text.extend_from_slice(&chunk?);
    }
    assert_eq!(text, b"10\tten\n11\t\\N\n");
    let transaction = client.transaction().await?;
    let portal = transaction.bind("select a from drv_tokio order by a", &[]).await?;
    let rows: Vec<_> = transaction.query_portal_raw(&portal, 2).await?.try_collect().await?;
    assert_eq!(rows.len(), 2);
    transaction.commit().await?;
    let token = client.cancel_token();
    let connector = tls()?;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(connector).await
    });
    code(&client, "select pg_sleep(20)", "57014").await?;
    client.batch_execute("drop table drv_tokio").await?;
    match connect("wrong").await {
        Ok(_) => return Err("a wrong password was accepted".into()),
        Err(error) => {
            let error = error.downcast::<tokio_postgres::Error>()?;
            assert_eq!(error.code().map(|code| code.code()), Some("28P01"));
        }
    }
    println!("tokio-postgres 0.7");
    Ok(())
}
