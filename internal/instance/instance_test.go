package instance

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/auth"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/vault"
)

const passphrase = "twelve lanterns and a gate"

// config is an instance of its own under a short path, as sockets need.
func config(t *testing.T) Config {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "postern-in-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return Config{
		Data: filepath.Join(dir, "d"), GateAddr: "127.0.0.1:0", DeskAddr: "127.0.0.1:0", MailAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		Version: "test", FsyncOff: true, PasswordCost: auth.TestCost, VaultCost: vault.TestCost,
		Setup: func(ctx context.Context, db *postgres.DB) error {
			if db.Vault() != nil {
				return nil
			}
			c := &Commands{DB: db, Publish: publisher(db, "test", false), DeskURL: "http://desk.example", VaultCost: vault.TestCost}
			_, err := c.Setup(ctx, SetupRequest{Passphrase: passphrase, Policy: "[project]\nname = \"Lantern\"\n[contact]\naddress = \"security@lantern.example\"\n",
				Member: Invite{Name: "Ada", Address: "ada@lantern.example", Roles: []string{"admin"}}})
			return err
		},
	}
}

func start(t *testing.T, c Config) *Instance {
	t.Helper()
	in, err := Start(t.Context(), c)
	if errors.Is(err, embedded.ErrNotInstalled) {
		t.Skip("postgres not installed")
	}
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { stop(t, in) })
	return in
}

func stop(t *testing.T, in *Instance) {
	t.Helper()
	began := time.Now()
	if err := in.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if took := time.Since(began); took > closeTime {
		t.Errorf("Close took %s, want less than %s", took, closeTime)
	}
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return r.StatusCode, string(b)
}

func TestInstance(t *testing.T) {
	c := config(t)
	in := start(t, c)
	if code, page := fetch(t, in.GateURL+"/"); code != 200 || !strings.Contains(page, "Lantern") {
		t.Errorf("GET / answers %d", code)
	}
	if in.MailAddr == "" || strings.HasSuffix(in.MailAddr, ":0") {
		t.Errorf("mail is taken at %q", in.MailAddr)
	}
	code, metrics := fetch(t, "http://"+in.MetricsAddr+"/metrics")
	if code != 200 || !strings.Contains(metrics, "postern_vault_unlocked 1") || !strings.Contains(metrics, `postern_info{version="test"} 1`) {
		t.Errorf("GET /metrics answers %d:\n%s", code, metrics)
	}
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "postern_") && strings.Contains(line, "{") && !strings.HasPrefix(line, "postern_info") {
			t.Errorf("a series has labels: %s", line)
		}
	}
	t.Run("socket", func(t *testing.T) { socket(t, c, in) })
	t.Run("one at a time", func(t *testing.T) {
		second := c
		second.DatabaseURL, second.GateDatabaseURL = in.cluster.Desk(), in.cluster.Gate()
		if other, err := Start(t.Context(), second); err == nil || !strings.Contains(err.Error(), "another Postern runs") {
			t.Errorf("a second Start on the same data gives %v", err)
			if err == nil {
				stop(t, other)
			}
		}
	})
	t.Run("gate alone", func(t *testing.T) { gateAlone(t, c, in) })
	stop(t, in)
	if err := Ask(t.Context(), c.Data, "status", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Ask after Close gives %v, want ErrNotRunning", err)
	}
	// What is kept is found again, locked.
	in = start(t, c)
	if in.DB.Vault().Unlocked() {
		t.Error("a second start is unlocked without a passphrase")
	}
}

func socket(t *testing.T, c Config, in *Instance) {
	path := socketPath(c.Data)
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
	var now Status
	if err := Ask(t.Context(), c.Data, "lock", nil, &now); err != nil || now.Unlocked || in.DB.Vault().Unlocked() {
		t.Fatalf("lock gives %+v, %v", now, err)
	}
	err := Ask(t.Context(), c.Data, "unlock", Secret{"not the passphrase"}, &now)
	if !errors.Is(err, vault.ErrWrongSecret) {
		t.Errorf("unlock with a wrong passphrase gives %v, want vault.ErrWrongSecret", err)
	}
	if err := Ask(t.Context(), c.Data, "key.export", KeyFile{Passphrase: "x"}, nil); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("key.export while locked gives %v, want vault.ErrLocked", err)
	}
	if err := Ask(t.Context(), c.Data, "unlock", Secret{passphrase}, &now); err != nil || !now.Unlocked {
		t.Errorf("unlock gives %+v, %v", now, err)
	}
	if err := Ask(t.Context(), c.Data, "nonsense", nil, nil); err == nil || !strings.Contains(err.Error(), `no command "nonsense"`) {
		t.Errorf("an unknown command gives %v", err)
	}
}

// gateAlone needs the gate's login and nothing else, and holds nothing else.
func gateAlone(t *testing.T, c Config, in *Instance) {
	g := Config{Data: c.Data + "-gate", GateAddr: "127.0.0.1:0", MailAddr: "off", Gate: true, GateDatabaseURL: in.cluster.Gate(),
		VaultPin: in.DB.Vault().Public().Fingerprint(), Version: "test"}
	gate := start(t, g)
	if gate.DB != nil || gate.Work != nil || gate.Desk != nil || gate.Commands != nil {
		t.Error("the gate alone holds more than a gate")
	}
	if code, _ := fetch(t, gate.GateURL+"/report"); code != 200 {
		t.Errorf("GET /report of a gate alone answers %d", code)
	}
	if code, _ := fetch(t, gate.GateURL+"/readyz"); code != 200 {
		t.Errorf("GET /readyz of a gate alone answers %d", code)
	}
	g.VaultPin = strings.Repeat("0", 64)
	pinned := start(t, g)
	if code, _ := fetch(t, pinned.GateURL+"/report"); code != http.StatusServiceUnavailable {
		t.Errorf("GET /report with another vault than pinned answers %d, want 503", code)
	}
}

// TestConfigNamesAllFaults: what cannot be is said at once, and no secret with it.
func TestConfigNamesAllFaults(t *testing.T) {
	_, err := Start(t.Context(), Config{Data: t.TempDir(), DatabaseURL: "postgres://desk:canary@host/db", MailTLSCert: "x", DKIMDomain: "y",
		GateURL: "gate.example", TrustedProxies: []string{"10.0.0.0/8", "nonsense"}})
	if err == nil {
		t.Fatal("Start took it")
	}
	for _, want := range []string{"POSTERN_GATE_DATABASE_URL", "POSTERN_MAIL_TLS_KEY", "POSTERN_DKIM_SELECTOR", "POSTERN_GATE_URL", "nonsense"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error("the error repeats a password")
	}
}

func TestStartGivesBackWhatItTook(t *testing.T) {
	c := config(t)
	c.SMTPURL = "smtp://user:canary@mail.example:99999"
	c.Setup = nil
	_, err := Start(t.Context(), c)
	if errors.Is(err, embedded.ErrNotInstalled) {
		t.Skip("postgres not installed")
	}
	if !errors.Is(err, ErrNotSetUp) {
		t.Fatalf("Start on an empty database gives %v, want ErrNotSetUp", err)
	}
	// The cluster is stopped and the addresses are free: another start gets as far.
	if _, err := Start(t.Context(), c); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("a second Start gives %v, want ErrNotSetUp", err)
	}
}
