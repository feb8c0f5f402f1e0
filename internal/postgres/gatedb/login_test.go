package gatedb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// databases makes a migrated one with an edition and one row in what the gate
// must not see.
func databases(t *testing.T) (owner *pgx.Conn, gateURL string) {
	t.Helper()
	ownerURL, _, gateURL := pgtest.Clone(t, "gate", func(owner string) error {
		_, err := postgres.Migrate(context.Background(), owner)
		return err
	})
	owner = connect(t, ownerURL)
	exec(t, owner, `INSERT INTO edition (number, instance, changed) VALUES (1, 'i', '2026-01-01')`)
	return owner, gateURL
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// tryAs runs a statement in a transaction that is rolled back. refused means
// the server said that this login may not.
func tryAs(t *testing.T, conn *pgx.Conn, sql string) (refused bool, err error) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), sql)
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501", err
}

// What the gate's login may do with tables. Everything not listed is refused.
var mayRead = map[string]bool{"document": true, "public_key": true, "edition": true, "goose_db_version": true}

func TestGateLoginTables(t *testing.T) {
	owner, gateURL := databases(t)
	gate := connect(t, gateURL)
	rows, err := owner.Query(t.Context(), `SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	type table struct{ Name, Column string }
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil || len(tables) < 30 {
		t.Fatalf("tables = %d, %v; want the whole schema", len(tables), err)
	}
	for _, x := range tables {
		statements := map[string]string{
			"SELECT":          fmt.Sprintf(`SELECT * FROM %s`, x.Name),
			"SELECT column":   fmt.Sprintf(`SELECT %s FROM %s`, x.Column, x.Name),
			"count":           fmt.Sprintf(`SELECT count(*) FROM %s`, x.Name),
			"INSERT":          fmt.Sprintf(`INSERT INTO %s DEFAULT VALUES`, x.Name),
			"INSERT column":   fmt.Sprintf(`INSERT INTO %s (%s) SELECT NULL WHERE false`, x.Name, x.Column),
			"UPDATE":          fmt.Sprintf(`UPDATE %s SET %s = %s`, x.Name, x.Column, x.Column),
			"DELETE":          fmt.Sprintf(`DELETE FROM %s`, x.Name),
			"DELETE nothing":  fmt.Sprintf(`DELETE FROM %s WHERE false`, x.Name),
			"TRUNCATE":        fmt.Sprintf(`TRUNCATE %s`, x.Name),
			"LOCK":            fmt.Sprintf(`LOCK TABLE %s IN ACCESS EXCLUSIVE MODE`, x.Name),
			"SELECT locking":  fmt.Sprintf(`SELECT 1 FROM %s FOR UPDATE`, x.Name),
			"COPY":            fmt.Sprintf(`COPY %s TO STDOUT`, x.Name),
			"COPY to program": fmt.Sprintf(`COPY %s TO PROGRAM 'true'`, x.Name),
			"ALTER":           fmt.Sprintf(`ALTER TABLE %s ADD COLUMN mine text`, x.Name),
			"DROP":            fmt.Sprintf(`DROP TABLE %s CASCADE`, x.Name),
			"TRIGGER":         fmt.Sprintf(`CREATE TRIGGER mine BEFORE INSERT ON %s EXECUTE FUNCTION refuse_change()`, x.Name),
			"GRANT":           fmt.Sprintf(`ALTER TABLE %s OWNER TO CURRENT_USER`, x.Name),
		}
		for what, sql := range statements {
			allowed := mayRead[x.Name] && (what == "SELECT" || what == "SELECT column" || what == "count" || what == "COPY")
			adds := x.Name == "arrival" || x.Name == "arrival_chunk"
			if adds && what == "INSERT column" {
				allowed = true
			}
			refused, err := tryAs(t, gate, sql)
			if adds && what == "INSERT" { // without values it is the table that refuses
				refused = err != nil
			}
			if what == "COPY" && allowed { // COPY needs its own protocol; that it is not refused is enough
				err = nil
			}
			if allowed && err != nil {
				t.Errorf("%s as the gate = %v; want it allowed", sql, err)
			}
			if !allowed && !refused {
				t.Errorf("%s as the gate = %v; want permission denied", sql, err)
			}
		}
	}
	for _, column := range []string{"opened", "wrapped_key", "case_id", "attempts", "retry_at"} {
		if refused, err := tryAs(t, gate, `INSERT INTO arrival (id, `+column+`) VALUES ('x', NULL)`); !refused {
			t.Errorf("inserting arrival.%s as the gate = %v; want permission denied", column, err)
		}
	}
	sql := `INSERT INTO arrival (id, kind, channel, received, vault_key, encapsulation, header)
		VALUES ('x', 'report', 'api', '2026-01-01', 'k', 'e', 'h')`
	if _, err := tryAs(t, gate, sql); err != nil {
		t.Errorf("%s as the gate = %v; want it allowed", sql, err)
	}
	if refused, err := tryAs(t, gate, sql+` RETURNING id`); !refused {
		t.Errorf("RETURNING as the gate = %v; want permission denied", err)
	}
}

func TestGateLoginElse(t *testing.T) {
	_, gateURL := databases(t)
	gate := connect(t, gateURL)
	for _, sql := range []string{
		`SELECT * FROM mailbox_read('nothing', '')`, `SELECT arrival_received('nothing')`,
		`LISTEN postern_edition`, `SELECT 1`,
		`NOTIFY postern_edition`, // cannot be taken from a login; it wakes gates for nothing, and carries nothing
	} {
		if _, err := tryAs(t, gate, sql); err != nil {
			t.Errorf("%s as the gate = %v; want it allowed", sql, err)
		}
	}
	for _, sql := range []string{
		`SELECT tally_case()`, `SELECT refuse_change()`,
		`SELECT nextval('case_number')`, `SELECT currval('case_number')`, `SELECT setval('case_number', 1)`, `SELECT last_value FROM case_number`,
		`SET ROLE postern_desk`, `SET ROLE postern_owner`, `SET SESSION AUTHORIZATION postern_desk`,
		`CREATE TABLE mine (n int)`, `CREATE TABLE public.mine (n int)`, `CREATE TEMP TABLE mine (n int)`, `CREATE SCHEMA mine`,
		`CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `CREATE VIEW public.mine AS SELECT 1`,
		`CREATE EXTENSION dblink`, `CREATE EXTENSION file_fdw`, `CREATE DATABASE mine`, `CREATE ROLE mine`,
		`ALTER ROLE postern_desk PASSWORD 'x'`, `GRANT postern_desk TO postern_gate`,
		`SELECT pg_read_file('/etc/passwd')`, `SELECT pg_read_binary_file('/etc/passwd')`, `SELECT pg_ls_dir('/')`, `SELECT pg_stat_file('/etc/passwd')`,
		`COPY edition TO '/tmp/x'`, `COPY edition TO PROGRAM 'true'`, `SELECT lo_import('/etc/passwd')`, `SELECT lo_export(1, '/tmp/x')`,
		`SELECT lo_creat(-1)`, `SELECT lo_create(0)`, `SELECT lo_from_bytea(0, 'x')`,
		`SELECT pg_reload_conf()`, `SELECT pg_rotate_logfile()`, `SELECT pg_switch_wal()`, `SELECT pg_create_restore_point('x')`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postern_owner'`,
		`SELECT * FROM pg_authid`, `SELECT * FROM pg_statistic`, `ALTER SYSTEM SET work_mem = '1GB'`, `CHECKPOINT`,
		`SELECT pg_control_checkpoint FROM pg_read_server_files`, `DO $$ BEGIN PERFORM count(*) FROM cases; END $$`,
		`DROP FUNCTION mailbox_read(text, text)`, `ALTER FUNCTION mailbox_read(text, text) SECURITY INVOKER`,
		`CREATE OR REPLACE FUNCTION mailbox_read(box text, item text) RETURNS TABLE (id text, kind text, at timestamptz, sealed bytea) LANGUAGE sql AS 'SELECT 1'`,
	} {
		refused, err := tryAs(t, gate, sql)
		var pg *pgconn.PgError
		missing := errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "0A000" || pg.Code == "58P01" || pg.Code == "25001") // no such thing here, or not in a transaction
		if err == nil || !refused && !missing {
			t.Errorf("%s as the gate = %v; want it refused", sql, err)
		}
	}
}

// What the login sees all the same, by PostgreSQL's own catalogs: this is the
// list in docs/gate-login.md, and a change of it has to be written there.
func TestGateLoginSees(t *testing.T) {
	owner, gateURL := databases(t)
	exec(t, owner, `INSERT INTO policy (version, toml, applied, by_name) SELECT n, 'x', '2026-01-01', 'x' FROM generate_series(1, 3) n`)
	exec(t, owner, `ANALYZE`)
	gate := connect(t, gateURL)
	var rows float64
	var size int64
	sees := map[string]bool{}
	ask := func(what, sql string, to ...any) {
		err := gate.QueryRow(t.Context(), sql).Scan(to...)
		sees[what] = err == nil
	}
	var text *string
	var number *int64
	ask("row counts, about, of every table", `SELECT reltuples FROM pg_class WHERE relname = 'policy'`, &rows)
	ask("sizes of every table", `SELECT pg_total_relation_size('cases')`, &size)
	ask("names of tables and columns", `SELECT attname FROM pg_attribute WHERE attrelid = 'cases'::regclass AND attnum = 1`, &text)
	ask("source of functions and triggers", `SELECT prosrc FROM pg_proc WHERE proname = 'mailbox_read'`, &text)
	ask("counts of inserts, updates and deletes", `SELECT n_tup_ins FROM pg_stat_all_tables WHERE relname = 'policy'`, &number)
	ask("who is connected", `SELECT usename::text FROM pg_stat_activity WHERE usename = 'postern_owner' LIMIT 1`, &text)
	ask("names of logins", `SELECT rolname::text FROM pg_roles WHERE rolname = 'postern_desk'`, &text)
	ask("database's commit counts", `SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`, &number)
	for _, what := range []string{"row counts, about, of every table", "sizes of every table", "names of tables and columns",
		"source of functions and triggers", "counts of inserts, updates and deletes", "who is connected", "names of logins", "database's commit counts"} {
		if !sees[what] {
			t.Errorf("the gate's login does not see %s any more; docs/gate-login.md says it does", what)
		}
	}
	if rows != 3 {
		t.Errorf("reltuples of policy as the gate = %v; want 3", rows)
	}
	// Values stay hidden: neither samples nor what others are asking.
	var n int
	if err := gate.QueryRow(t.Context(), `SELECT count(*) FROM pg_stats WHERE tablename IN ('cases', 'policy', 'member')`).Scan(&n); err != nil || n != 0 {
		t.Errorf("statistics of columns as the gate = %d, %v; want none", n, err)
	}
	exec(t, owner, `SELECT 'a secret'`)
	var query *string
	err := gate.QueryRow(t.Context(), `SELECT query FROM pg_stat_activity WHERE usename = 'postern_owner' AND query LIKE '%secret%' LIMIT 1`).Scan(&query)
	if !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("another's query as the gate = %v, %v; want none", query, err)
	}
}
