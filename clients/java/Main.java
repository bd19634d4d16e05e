// pgjdbc: server-side prepared statements after the fifth use, binary transfer, batches, COPY, cancel.
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;

public class Main {
    static void same(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    interface Action { void run() throws Exception; }

    static void fails(Action action, String code) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            same(error.getSQLState(), code, "SQLSTATE of " + error.getMessage());
            return;
        }
        throw new AssertionError("no error, expected " + code);
    }

    static Connection open(String password, String more) throws SQLException {
        Map<String, String> env = System.getenv();
        Properties properties = new Properties();
        properties.put("user", env.get("PGUSER"));
        properties.put("password", password);
        properties.put("sslmode", "verify-full");
        properties.put("sslrootcert", env.get("PGSSLROOTCERT"));
        return DriverManager.getConnection("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/"
            + env.get("PGDATABASE") + more, properties);
    }

    static Object value(Connection conn, String kind, Object given) throws SQLException {
        try (PreparedStatement statement = conn.prepareStatement("select ?::" + kind)) {
            Object got = null;
            for (int i = 0; i < 7; i++) { // past prepareThreshold: named statement, binary results
                statement.setObject(1, given);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    got = rows.getObject(1);
                }
            }
            return got;
        }
    }

    public static void main(String[] args) throws Exception {
        String password = System.getenv("PGPASSWORD");
        for (String more : new String[] {"", "?preferQueryMode=simple", "?prepareThreshold=1", "?binaryTransfer=false"}) {
            try (Connection conn = open(password, more)) {
                same(value(conn, "int4", 42), 42, "int4");
                same(value(conn, "int8", Long.MAX_VALUE), Long.MAX_VALUE, "int8");
                same(value(conn, "float8", 0.1), 0.1, "float8");
                same(value(conn, "numeric", new BigDecimal("1.10")), new BigDecimal("1.10"), "numeric");
                same(value(conn, "text", "żółć ' \\"), "żółć ' \\", "text");
                same(value(conn, "bool", true), true, "bool");
                same(value(conn, "date", java.sql.Date.valueOf("2024-02-29")), java.sql.Date.valueOf("2024-02-29"), "date");
                Timestamp moment = Timestamp.valueOf("2024-02-29 01:02:03.456789");
                same(value(conn, "timestamp", moment), moment, "timestamp");
                UUID id = UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
                same(value(conn, "uuid", id), id, "uuid");
            }
        }
        try (Connection conn = open(password, ""); Statement statement = conn.createStatement()) {
            statement.execute("drop table if exists drv_jdbc");
            statement.execute("create table drv_jdbc (a int primary key, b text)");
            try (PreparedStatement insert = conn.prepareStatement("insert into drv_jdbc values (?, ?)")) {
                for (int i = 0; i < 20; i++) {
                    insert.setInt(1, i);
                    insert.setString(2, "x" + i);
                    insert.addBatch();
                }
                same(insert.executeBatch().length, 20, "batch");
                insert.setInt(1, 50);
                insert.setNull(2, Types.VARCHAR);
                same(insert.executeUpdate(), 1, "executeUpdate"); // fails if NoData is not answered
            }
            fails(() -> statement.execute("insert into drv_jdbc values (1, 'y')"), "23505");
            fails(() -> statement.execute("select 1/0"), "22012");
            fails(() -> statement.execute("select * from drv_nosuch"), "42P01");
            conn.setAutoCommit(false);
            statement.execute("insert into drv_jdbc values (60, 'x')");
            Savepoint savepoint = conn.setSavepoint();
            fails(() -> statement.execute("insert into drv_jdbc values (60, 'y')"), "23505");
            fails(() -> statement.execute("select 1"), "25P02");
            conn.rollback(savepoint);
            conn.commit();
            statement.setFetchSize(5); // portals with max_rows
            int seen = 0;
            try (ResultSet rows = statement.executeQuery("select a from drv_jdbc order by a")) {
                while (rows.next()) seen++;
            }
            same(seen, 22, "fetch size");
            conn.rollback();
            conn.setAutoCommit(true);
            var copy = conn.unwrap(PGConnection.class).getCopyAPI();
            same(copy.copyIn("copy drv_jdbc from stdin", new StringReader("100\thundred\n101\t\\N\n")), 2L, "copy in");
            StringWriter out = new StringWriter();
            copy.copyOut("copy (select * from drv_jdbc where a >= 100 order by a) to stdout", out);
            same(out.toString(), "100\thundred\n101\t\\N\n", "copy out");
            try (PreparedStatement returning = conn.prepareStatement("insert into drv_jdbc values (200, 'r')", new String[] {"a"})) {
                returning.executeUpdate();
                ResultSet keys = returning.getGeneratedKeys();
                keys.next();
                same(keys.getInt(1), 200, "generated keys");
            }
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    statement.cancel();
                } catch (Exception error) {
                    throw new RuntimeException(error);
                }
            });
            canceller.start();
            fails(() -> statement.execute("select pg_sleep(20)"), "57014");
            canceller.join();
            statement.execute("drop table drv_jdbc");
        }
        fails(() -> open("wrong", ""), "28P01");
        System.out.println("pgjdbc " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
    }
}
