//! Messages to the server, each a function that returns its bytes.

/// Protocol 3.0.
const PROTOCOL: i32 = 3 << 16;
/// The code of a CancelRequest.
const CANCEL: i32 = 80_877_102;

/// A message: type byte, length, body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(length_of(body));
    out.extend_from_slice(body);
    out
}

fn length_of(body: &[u8]) -> [u8; 4] {
    i32::try_from(body.len() + 4).expect("test messages are below 2 GiB").to_be_bytes()
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn count(out: &mut Vec<u8>, length: usize) {
    // More than 65,535 wraps: some tests lie about counts on purpose.
    out.extend_from_slice(&(length as u16).to_be_bytes());
}

/// StartupMessage.
pub fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for (name, value) in [("user", user), ("database", database)] {
        string(&mut body, name);
        string(&mut body, value);
    }
    body.push(0);
    let mut out = length_of(&body).to_vec();
    out.extend(body);
    out
}

/// CancelRequest, sent on a connection of its own.
pub fn cancel(pid: i32, secret: i32) -> Vec<u8> {
    let mut body = CANCEL.to_be_bytes().to_vec();
    body.extend(pid.to_be_bytes());
    body.extend(secret.to_be_bytes());
    let mut out = length_of(&body).to_vec();
    out.extend(body);
    out
}

/// PasswordMessage.
pub fn password(password: &str) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, password);
    message(b'p', &body)
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, sql);
    message(b'Q', &body)
}

/// Parse.
pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, name);
    string(&mut body, sql);
    count(&mut body, types.len());
    types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    message(b'P', &body)
}

/// Bind; values are text unless `formats` says otherwise.
pub fn bind(
    portal: &str,
    statement: &str,
    formats: &[i16],
    values: &[Option<&str>],
    results: &[i16],
) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, portal);
    string(&mut body, statement);
    count(&mut body, formats.len());
    formats.iter().for_each(|format| body.extend(format.to_be_bytes()));
    count(&mut body, values.len());
    for value in values {
        match value {
            None => body.extend((-1i32).to_be_bytes()),
            Some(text) => {
                body.extend(i32::try_from(text.len()).expect("short test values").to_be_bytes());
                body.extend_from_slice(text.as_bytes());
            }
        }
    }
    count(&mut body, results.len());
    results.iter().for_each(|format| body.extend(format.to_be_bytes()));
    message(b'B', &body)
}

/// Describe a statement (`S`) or a portal (`P`).
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    named(b'D', kind, name)
}

/// Close a statement (`S`) or a portal (`P`).
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    named(b'C', kind, name)
}

fn named(tag: u8, kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    string(&mut body, name);
    message(tag, &body)
}

/// Execute; 0 rows means all.
pub fn execute(portal: &str, max_rows: i32) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, portal);
    body.extend(max_rows.to_be_bytes());
    message(b'E', &body)
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// CopyData.
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    message(b'd', data)
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

/// CopyFail.
pub fn copy_fail(reason: &str) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, reason);
    message(b'f', &body)
}
