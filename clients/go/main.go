// pgx: binary by default, each of its query modes, COPY, batches, cancel by context.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func same(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		check(fmt.Errorf("%s: got %v, want %v", what, got, want))
	}
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

func value[T any](ctx context.Context, conn *pgx.Conn, mode pgx.QueryExecMode, kind string, want T) {
	var got T
	check(conn.QueryRow(ctx, "select $1::"+kind, mode, want).Scan(&got))
	same(kind+" "+mode.String(), got, want)
}

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	check(err)
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	for _, mode := range modes {
		value(ctx, conn, mode, "int4", int32(-5))
		value(ctx, conn, mode, "int8", int64(9223372036854775807))
		value(ctx, conn, mode, "float8", 0.1)
		value(ctx, conn, mode, "text", "żółć ' \\")
		value(ctx, conn, mode, "bool", true)
		value(ctx, conn, mode, "bytea", []byte{0, 255})
		value(ctx, conn, mode, "int4[]", []int32{1, 2})
		value(ctx, conn, mode, "numeric", "1.10")
		value(ctx, conn, mode, "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
		var at time.Time
		moment := time.Date(2024, 2, 29, 1, 2, 3, 456789000, time.UTC)
		check(conn.QueryRow(ctx, "select $1::timestamptz", mode, moment).Scan(&at))
		same("timestamptz", at.UTC(), moment)
	}
	_, err = conn.Exec(ctx, "drop table if exists drv_pgx; create table drv_pgx (a int primary key, b text)")
	check(err)
	tx, err := conn.Begin(ctx)
	check(err)
	_, err = tx.Exec(ctx, "insert into drv_pgx values ($1, $2)", 1, "x")
	check(err)
	nested, err := tx.Begin(ctx)
	check(err)
	_, err = nested.Exec(ctx, "insert into drv_pgx values ($1, $2)", 1, "y")
	same("duplicate", code(err), "23505")
	check(nested.Rollback(ctx))
	check(tx.Commit(ctx))
	_, err = conn.Exec(ctx, "select 1/0")
	same("division", code(err), "22012")
	_, err = conn.Exec(ctx, "select * from drv_nosuch")
	same("table", code(err), "42P01")
	rows := [][]any{}
	for i := 100; i < 200; i++ {
		rows = append(rows, []any{i, nil})
	}
	count, err := conn.CopyFrom(ctx, pgx.Identifier{"drv_pgx"}, []string{"a", "b"}, pgx.CopyFromRows(rows))
	check(err)
	same("binary copy in", count, int64(100))
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("10\tten\n"), "copy drv_pgx from stdin")
	check(err)
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "copy (select * from drv_pgx where a = 10) to stdout")
	check(err)
	same("copy out", out.String(), "10\tten\n")
	batch := &pgx.Batch{}
	batch.Queue("insert into drv_pgx values (11, 'b')")
	batch.Queue("select count(*) from drv_pgx")
	results := conn.SendBatch(ctx, batch)
	_, err = results.Exec()
	check(err)
	var total int64
	check(results.QueryRow().Scan(&total))
	check(results.Close())
	same("batch", total, int64(103))
	second, err := pgx.Connect(ctx, "")
	check(err)
	go func() {
		time.Sleep(300 * time.Millisecond)
		check(second.PgConn().CancelRequest(ctx))
	}()
	_, err = second.Exec(ctx, "select pg_sleep(20)")
	same("cancel", code(err), "57014")
	check(second.QueryRow(ctx, "select 1").Scan(&total))
	_, err = conn.Exec(ctx, "drop table drv_pgx")
	check(err)
	config, err := pgx.ParseConfig("")
	check(err)
	config.Password = "wrong"
	_, err = pgx.ConnectConfig(ctx, config)
	same("password", code(err), "28P01")
	fmt.Println("pgx v5")
}
