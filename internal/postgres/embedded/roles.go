package embedded

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// prepare makes what is missing of the three logins and the database. It runs at every start, so that a start that broke off is mended.
func (cl *Cluster) prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, cl.Admin("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)

	for _, login := range []string{OwnerLogin, DeskLogin, GateLogin} {
		var known bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, login).Scan(&known); err != nil {
			return fmt.Errorf("look for login %s: %w", login, err)
		}
		verb := "CREATE"
		if known {
			verb = "ALTER"
		}
		if _, err := conn.Exec(ctx, verb+" ROLE "+login+" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"); err != nil {
			return fmt.Errorf("make login %s: %w", login, err)
		}
	}
	var known bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, DatabaseName).Scan(&known); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if !known {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+DatabaseName+" OWNER "+OwnerLogin); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
	}
	for _, other := range []string{"postgres", "template1"} {
		if _, err := conn.Exec(ctx, "REVOKE ALL ON DATABASE "+other+" FROM PUBLIC"); err != nil {
			return fmt.Errorf("close database %s: %w", other, err)
		}
	}
	return cl.Close(ctx, DatabaseName)
}

// Close takes from PUBLIC every right on a database and its public schema, and lets desk and gate connect. It is safe to repeat;
// databases made from a template need it, as rights on a database are not copied.
func (cl *Cluster) Close(ctx context.Context, database string) error {
	conn, err := pgx.Connect(ctx, cl.Admin(database))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", database, err)
	}
	defer conn.Close(ctx)
	name := pgx.Identifier{database}.Sanitize()
	for _, sql := range []string{
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + name + " TO " + DeskLogin + ", " + GateLogin,
		"ALTER SCHEMA public OWNER TO " + OwnerLogin,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT USAGE ON SCHEMA public TO " + DeskLogin + ", " + GateLogin,
		// Large objects are a table everybody may write to.
		"REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set rights on %s: %w", database, err)
		}
	}
	return nil
}
