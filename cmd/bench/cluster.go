package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/postgres/gatedb"
	"postern/internal/vault"
)

// cluster is a private PostgreSQL with the settings of production.
type cluster struct {
	*embedded.Cluster
	dir string
	n   int // databases made
}

func startCluster(ctx context.Context) (*cluster, error) {
	dir, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the server's user must pass
		return nil, err
	}
	c, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(dir, "pg")})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &cluster{Cluster: c, dir: dir}, nil
}

func (c *cluster) stop() {
	c.Cluster.Stop()
	os.RemoveAll(c.dir)
}

func (c *cluster) cpu() time.Duration { return treeCPU(c.Pid()) }

// fresh makes an empty database with the schema of this program.
func (c *cluster) fresh(ctx context.Context) (name string, err error) {
	c.n++
	name = fmt.Sprintf("bench_%d", c.n)
	conn, err := pgx.Connect(ctx, c.Admin("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" OWNER "+embedded.OwnerLogin); err != nil {
		return "", err
	}
	if err := c.Close(ctx, name); err != nil {
		return "", err
	}
	_, err = postgres.Migrate(ctx, c.URL(embedded.OwnerLogin, name))
	return name, err
}

func (c *cluster) drop(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.Admin("postgres"))
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// world is one instance in a database of its own, its vault unlocked, with a
// policy, a member of every role and a team key; all made as the product does.
type world struct {
	c        *cluster
	name     string
	db       *postgres.DB
	gate     *gatedb.DB
	by       disclosure.Caller
	team     *pgp.Secret
	deskURL  string
	gateURL  string
	instance vault.InstanceID
}

const passphrase = "seven lanterns over the gate"

func (b *bench) world(ctx context.Context, cost vault.Cost) (w *world, err error) {
	w = &world{c: b.pg}
	if w.name, err = b.pg.fresh(ctx); err != nil {
		return nil, fmt.Errorf("make a database: %w", err)
	}
	w.deskURL, w.gateURL = b.pg.URL(embedded.DeskLogin, w.name), b.pg.URL(embedded.GateLogin, w.name)
	if w.db, err = postgres.Open(ctx, postgres.Config{URL: w.deskURL}); err != nil {
		return nil, err
	}
	w.db.SetPolicyParser(policy.Parse)
	if err := w.settle(ctx, cost); err != nil {
		w.close()
		return nil, err
	}
	if w.gate, err = gatedb.Open(ctx, w.gateURL); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) settle(ctx context.Context, cost vault.Cost) error {
	w.instance = vault.NewInstanceID()
	made, err := vault.Setup(w.instance, "Ada", passphrase, w.db.Now(), cost)
	if err != nil {
		return err
	}
	init := disclosure.System("init")
	err = w.db.Setup(ctx, init, postgres.NewInstance{ID: w.instance, Record: made.Record, Slots: made.Slots, Vault: made.Vault})
	if err != nil {
		return err
	}
	toml, err := policy.Preset("demo")
	if err != nil {
		return err
	}
	if _, err := w.db.ApplyPolicy(ctx, init, []byte(toml)); err != nil {
		return err
	}
	if w.by, err = w.member(ctx, "Ada", disclosure.Triager|disclosure.Releaser|disclosure.Admin); err != nil {
		return err
	}
	if w.team, _, err = pgp.NewTeam("Lantern security", "security@lantern.example", w.db.Now()); err != nil {
		return err
	}
	cert := w.team.Certificate()
	return w.db.StoreTeamKey(ctx, w.by, cert.Fingerprint(), cert.Binary(), w.team.Bytes())
}

// member adds one who has joined and stepped up.
func (w *world) member(ctx context.Context, name string, roles disclosure.Roles) (disclosure.Caller, error) {
	hash := sha256.Sum256([]byte("invitation of " + name))
	_, err := w.db.Invite(ctx, disclosure.System("init"), name, name+"@lantern.example", roles, hash[:], w.db.Wall().Add(time.Hour))
	if err != nil {
		return disclosure.Caller{}, err
	}
	m, err := w.db.AcceptInvite(ctx, hash[:], "not used here", make([]byte, 20), 1)
	if err != nil {
		return disclosure.Caller{}, err
	}
	c := m.Caller()
	c.Verified = w.db.Wall()
	return c, nil
}

func (w *world) close() {
	if w.gate != nil {
		w.gate.Close()
	}
	if w.db != nil {
		w.db.Close()
	}
	w.c.drop(w.name)
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "postern-bench")
}

var errWrong = errors.New("the result is not what it has to be")

// admin runs a statement as the superuser.
func (c *cluster) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.Admin("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}
