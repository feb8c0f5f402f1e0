// Package postgrestest gives tests of other packages a world to stand in: a
// database of their own with an instance, an unlocked vault, a policy in force
// and a small team. Everything in it was made through the operations the
// product uses. It exists apart from postgres so that the product never
// imports testing.
//
// A test binary that uses it says so once:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
package postgrestest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/gatedb"
	"postern/internal/vault"
)

// What opens the World's doors.
const (
	Passphrase = "the passphrase of every world" // of the vault
	Password   = "seven lanterns over the gate"  // of every member
	phc        = "$argon2id$v=19$m=64,t=1,p=1$Es+yP5t1/k1hXGdmx2Fsuw$vRNDI2EqVyha1+b/I0B2VPD13/R2cEA/fV56ilSjll0"
)

// World is one instance.
type World struct {
	DB     *postgres.DB
	Gate   *gatedb.DB
	Policy *disclosure.Policy // in force: the preset "demo" unless Config says otherwise

	OwnerURL, DeskURL, GateURL string

	// The team; each has stepped up just now.
	Ada disclosure.Caller // every role
	Tri disclosure.Caller // triager
	Rel disclosure.Caller // releaser
	Aud disclosure.Caller // auditor
	// TOTP is each member's secret.
	TOTP map[disclosure.MemberID][]byte

	Recovery string // the vault's recovery phrase

	wall *atomic.Int64
}

// Config changes what New makes; the zero value is good.
type Config struct {
	Policy string       // TOML; empty: the preset "demo"
	Log    *slog.Logger // nil: discarded
}

// New makes a world. It goes with the test.
func New(t testing.TB) *World { return NewWith(t, Config{}) }

// NewWith makes a world after c.
func NewWith(t testing.TB, c Config) *World {
	t.Helper()
	return NewAt(t, c, func() (owner, desk, gate string) {
		return pgtest.Clone(t, "postern", func(owner string) error {
			_, err := postgres.Migrate(context.Background(), owner)
			return err
		})
	})
}

// NewAt makes a world in a migrated database of the caller's own, such as one
// on a cluster that the test is going to kill.
func NewAt(t testing.TB, c Config, database func() (ownerURL, deskURL, gateURL string)) *World {
	t.Helper()
	ctx := context.Background()
	w := &World{TOTP: map[disclosure.MemberID][]byte{}, wall: new(atomic.Int64)}
	w.OwnerURL, w.DeskURL, w.GateURL = database()
	w.DB = w.Open(t, c.Log)
	init := disclosure.System("init")
	id := vault.NewInstanceID()
	made, err := vault.Setup(id, "Ada", Passphrase, w.DB.Now(), vault.TestCost)
	if err != nil {
		t.Fatalf("make a vault: %v", err)
	}
	w.Recovery = made.Recovery
	must(t, w.DB.Setup(ctx, init, postgres.NewInstance{ID: id, Record: made.Record, Slots: made.Slots, Vault: made.Vault, Demo: true}))
	if c.Policy == "" {
		if c.Policy, err = policy.Preset("demo"); err != nil {
			t.Fatalf("read the demo's policy: %v", err)
		}
	}
	if w.Policy, err = w.DB.ApplyPolicy(ctx, init, []byte(c.Policy)); err != nil {
		t.Fatalf("apply the policy: %v", err)
	}
	w.Ada = w.Member(t, "Ada", disclosure.Triager|disclosure.Releaser|disclosure.Admin|disclosure.Auditor)
	w.Tri = w.Member(t, "Tri", disclosure.Triager)
	w.Rel = w.Member(t, "Rel", disclosure.Releaser)
	w.Aud = w.Member(t, "Aud", disclosure.Auditor)
	if w.Gate, err = gatedb.Open(ctx, w.GateURL); err != nil {
		t.Fatalf("open the gate's database: %v", err)
	}
	t.Cleanup(w.Gate.Close)
	return w
}

// Open opens the world's database once more, as another process would: with a
// locked vault, unless nobody has set it up yet.
func (w *World) Open(t testing.TB, log *slog.Logger) *postgres.DB {
	t.Helper()
	wall := func() time.Time { return time.Now().Add(time.Duration(w.wall.Load())) }
	db, err := postgres.Open(context.Background(), postgres.Config{URL: w.DeskURL, Wall: wall, Log: log})
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(db.Close)
	db.SetPolicyParser(policy.Parse)
	return db
}

// Member adds a member who has joined and stepped up, by name; the login is
// name@lantern.example, the password is Password.
func (w *World) Member(t testing.TB, name string, roles disclosure.Roles) disclosure.Caller {
	t.Helper()
	ctx := context.Background()
	hash := sha256.Sum256([]byte("invitation of " + name))
	id, err := w.DB.Invite(ctx, disclosure.System("init"), name, name+"@lantern.example", roles, hash[:], w.DB.Wall().Add(time.Hour))
	if err != nil {
		t.Fatalf("invite %s: %v", name, err)
	}
	secret := sha256.Sum256([]byte("second factor of " + name))
	m, err := w.DB.AcceptInvite(ctx, hash[:], phc, secret[:20], 1)
	if err != nil {
		t.Fatalf("%s joins: %v", name, err)
	}
	w.TOTP[id] = secret[:20]
	c := m.Caller()
	c.Verified = w.DB.Wall()
	return c
}

// Advance moves the time that everything waits for, as the demo does.
func (w *World) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	must(t, w.DB.MoveTime(context.Background(), disclosure.System("test"), d))
}

// AdvanceWall moves wall time, of which sessions and step-ups know; everything
// else moves with it.
func (w *World) AdvanceWall(d time.Duration) { w.wall.Add(int64(d)) }

// SteppedUp is the caller with a step-up of now.
func (w *World) SteppedUp(c disclosure.Caller) disclosure.Caller {
	c.Verified = w.DB.Wall()
	return c
}

// Sent is something that came through the gate.
type Sent struct {
	Kind    disclosure.ArrivalKind // empty: report
	Channel disclosure.Channel     // empty: form
	Header  disclosure.ArrivalHeader
	Parts   []Part // empty: one text
	At      time.Time
}

// Part is one piece of a body.
type Part struct {
	Kind  disclosure.PartKind // empty: text
	Name  string
	Type  string
	Bytes []byte
}

// Arrive seals something as the gate does, and stores it with the gate's
// login. Sizes, digests and the list of parts in the header are filled in.
func (w *World) Arrive(t testing.TB, s Sent) disclosure.ArrivalID {
	t.Helper()
	if s.Kind == "" {
		s.Kind = disclosure.ArrivalReport
	}
	if s.Channel == "" {
		s.Channel = disclosure.ByForm
	}
	if s.At.IsZero() {
		s.At = w.DB.Now()
	}
	if len(s.Parts) == 0 {
		s.Parts = []Part{{Bytes: []byte("The lantern leaks.\n")}}
	}
	var body bytes.Buffer
	for _, p := range s.Parts {
		if p.Kind == "" {
			p.Kind = disclosure.PartText
		}
		sum := sha256.Sum256(p.Bytes)
		s.Header.Parts = append(s.Header.Parts, disclosure.ArrivalPart{Kind: p.Kind, Name: p.Name, Type: p.Type,
			Size: int64(len(p.Bytes)), SHA256: hex.EncodeToString(sum[:])})
		body.Write(p.Bytes)
	}
	sum := sha256.Sum256(body.Bytes())
	s.Header.Size, s.Header.SHA256 = int64(body.Len()), hex.EncodeToString(sum[:])
	public := w.DB.Vault().Public()
	meta := vault.ArrivalMeta{Instance: w.DB.Instance(), ID: disclosure.NewID(), Kind: string(s.Kind), Channel: string(s.Channel),
		VaultKey: public.ID(), Received: s.At.UTC().Truncate(time.Microsecond)}
	sealer, err := public.SealArrival(meta)
	if err != nil {
		t.Fatalf("seal an arrival: %v", err)
	}
	header, err := s.Header.Encode()
	if err != nil {
		t.Fatalf("write a header: %v", err)
	}
	_, again, err := w.Gate.InsertArrival(context.Background(), gatedb.Arrival{
		ID: disclosure.ArrivalID(meta.ID), Kind: s.Kind, Channel: s.Channel, Received: meta.Received, VaultKey: meta.VaultKey,
		Encapsulation: sealer.Encapsulation(), Header: sealer.Header(header),
	}, chunks(sealer, body.Bytes()))
	if err != nil || again {
		t.Fatalf("store an arrival: %v, again %v", err, again)
	}
	return disclosure.ArrivalID(meta.ID)
}

func chunks(s *vault.ArrivalSealer, body []byte) iter.Seq2[gatedb.Chunk, error] {
	return func(yield func(gatedb.Chunk, error) bool) {
		for n := 0; ; n++ {
			final := len(body) <= vault.MaxArrivalChunk
			m := min(len(body), vault.MaxArrivalChunk)
			if !yield(gatedb.Chunk{N: n, Final: final, Sealed: s.Chunk(n, final, body[:m])}, nil) || final {
				return
			}
			body = body[m:]
		}
	}
}

// Case makes a case that a reporter with a mailbox sent in, and returns its id
// and the reporter's code.
func (w *World) Case(t testing.TB, title string) (disclosure.CaseID, vault.Code) {
	t.Helper()
	code := vault.NewCode()
	box := code.Mailbox(w.DB.Instance())
	id := w.Arrive(t, Sent{Header: disclosure.ArrivalHeader{
		Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public(), Title: title, Name: "Robin Reporter",
	}})
	w.OpenAll(t)
	c := w.CaseOf(t, id)
	return c, code
}

// OpenAll opens every waiting arrival, taking the body for plain text.
func (w *World) OpenAll(t testing.TB) {
	t.Helper()
	for range 10_000 {
		found, err := w.DB.NextArrival(context.Background(), disclosure.System("arrivals"), PlainText)
		if err != nil {
			t.Fatalf("open an arrival: %v", err)
		}
		if !found {
			return
		}
	}
	t.Fatal("arrivals do not end")
}

// PlainText takes the whole body for text.
func PlainText(_ context.Context, a *postgres.Arrival) (postgres.Opened, error) {
	b, err := io.ReadAll(a.Body)
	return postgres.Opened{Text: string(b), Protection: disclosure.Protection{
		Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned, Integrity: disclosure.Whole}}, err
}

// CaseOf is the case an opened arrival belongs to.
func (w *World) CaseOf(t testing.TB, id disclosure.ArrivalID) disclosure.CaseID {
	t.Helper()
	var c *disclosure.CaseID
	err := w.DB.Pool().QueryRow(context.Background(), `SELECT case_id FROM arrival WHERE id = $1`, id).Scan(&c)
	if err != nil || c == nil {
		t.Fatalf("case of arrival %s: %v, %v", id, c, err)
	}
	return *c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
