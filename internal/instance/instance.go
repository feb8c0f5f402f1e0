// Package instance is one running Postern from one Config: database, doors,
// work, mail, metrics and the control socket, started together and stopped
// together. The program, the demo and the end-to-end tests all start it.
package instance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/desk"
	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/gate"
	"postern/internal/letters"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/postgres/gatedb"
	"postern/internal/publish"
	"postern/internal/server"
	"postern/internal/smtp"
	"postern/internal/work"
)

// ErrNotSetUp: the database belongs to nobody yet.
var ErrNotSetUp = errors.New("this Postern was not set up yet: run postern init")

// closeTime is how long a graceful stop may take.
const closeTime = 15 * time.Second

// Instance is one running Postern.
type Instance struct {
	GateURL, DeskURL string        // without trailing slash
	MailAddr         string        // empty: no listener
	MetricsAddr      string        // empty: off
	Started          time.Duration // from Start to the first door open
	DB               *postgres.DB  // nil with the gate alone
	Work             *work.Work    // nil with the gate alone
	Gate             *gate.Gate    // nil with the desk alone
	Desk             *desk.Desk    // nil with the gate alone
	Commands         *Commands     // nil with the gate alone

	c        Config
	cluster  *embedded.Cluster
	gateDB   *gatedb.DB
	sender   smtp.Sender
	relay    *smtp.Relay
	outbox   *smtp.Outbox
	fetcher  *smtp.Fetcher
	letters  *letters.Letters
	bound    map[string]net.Listener
	http     []*http.Server
	mail     *mailDoor
	stop     context.CancelFunc
	resume   func()
	running  sync.WaitGroup
	failed   chan error
	closed   atomic.Bool
	closing  sync.Once
	closeErr error
}

// Start starts everything and returns once the doors are open and, where a
// passphrase was given, the vault is. What was started is stopped again when
// something fails. Canceling ctx abandons the start and nothing else.
func Start(ctx context.Context, c Config) (in *Instance, err error) {
	began := time.Now()
	if err := c.defaults(); err != nil {
		return nil, err
	}
	noCoreDumps()
	in = &Instance{c: c, bound: map[string]net.Listener{}, failed: make(chan error, 8)}
	defer func() {
		if err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
			defer cancel()
			_ = in.Close(stop)
			in = nil
		}
	}()
	if err := c.makeData(); err != nil {
		return in, err
	}
	if err := in.bind(); err != nil {
		return in, err
	}
	if err := in.openDatabase(ctx); err != nil {
		return in, err
	}
	if err := in.prepare(); err != nil {
		return in, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	in.stop = stop
	if err := in.openDesk(run); err != nil {
		return in, err
	}
	if err := in.openGate(ctx, run); err != nil {
		return in, err
	}
	in.Started = time.Since(began)
	if err := in.openMail(run); err != nil {
		return in, err
	}
	if err := in.openMetrics(); err != nil {
		return in, err
	}
	if err := in.openControl(run); err != nil {
		return in, err
	}
	return in, in.unlock()
}

// Letters are the texts in force.
func (in *Instance) Letters() *letters.Letters { return in.letters }

// Failed tells of a part that ended by itself, as a private cluster that was
// killed. The instance should be closed then.
func (in *Instance) Failed() <-chan error { return in.failed }

// bind takes the addresses first: what is wrong with them is known at once,
// and the first visitor waits in the queue instead of being refused.
func (in *Instance) bind() error {
	take := func(name, addr string) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("listen for the %s: %w", name, err)
		}
		in.bound[name] = l
		return nil
	}
	c := &in.c
	if c.Gate {
		if err := take("gate", c.GateAddr); err != nil {
			return err
		}
		in.GateURL = orElse(c.GateURL, "http://"+in.bound["gate"].Addr().String())
	}
	if c.Desk {
		if err := take("desk", c.DeskAddr); err != nil {
			return err
		}
		in.DeskURL = orElse(c.DeskURL, "http://"+in.bound["desk"].Addr().String())
	}
	if c.MetricsAddr != "" {
		if err := take("metrics", c.MetricsAddr); err != nil {
			return err
		}
		in.MetricsAddr = in.bound["metrics"].Addr().String()
	}
	in.GateURL, in.DeskURL = orElse(in.GateURL, orElse(c.GateURL, "http://"+c.GateAddr)), orElse(in.DeskURL, orElse(c.DeskURL, "http://"+c.DeskAddr))
	return nil
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func (in *Instance) openDatabase(ctx context.Context) error {
	c := &in.c
	db, cluster, gateURL, err := open(ctx, c, in.GateURL)
	in.cluster = cluster
	if err != nil {
		return err
	}
	in.DB = db
	if db != nil && c.Setup != nil {
		if err := c.Setup(ctx, db); err != nil {
			return err
		}
	}
	if db != nil && db.Vault() == nil {
		return ErrNotSetUp
	}
	if cluster != nil {
		go in.watchCluster()
	}
	if !c.Gate {
		return nil
	}
	in.gateDB, err = gatedb.Open(ctx, gateURL)
	return err
}

// open reaches the database as the desk, with the cluster that had to be
// started for it. db is nil for the gate alone.
func open(ctx context.Context, c *Config, site string) (db *postgres.DB, cluster *embedded.Cluster, gateURL string, err error) {
	deskURL, gateURL := c.DatabaseURL, c.GateDatabaseURL
	if !c.Desk {
		return nil, nil, gateURL, nil
	}
	if deskURL == "" {
		c.Progress("Starting PostgreSQL …")
		cluster, err = embedded.Start(ctx, embedded.Config{
			Dir: filepath.Join(c.Data, "postgres"), FsyncOff: c.FsyncOff,
			Log: func(line string) { c.Log.Info("postgresql: " + line) },
		})
		if err != nil {
			return nil, nil, "", err
		}
		deskURL, gateURL = cluster.Desk(), cluster.Gate()
	}
	conf := postgres.Config{URL: deskURL, Wall: c.Wall, Log: c.Log, Site: site, Spool: filepath.Join(c.Data, "spool")}
	db, err = postgres.Open(ctx, conf)
	if errors.Is(err, postgres.ErrSchema) && cluster != nil {
		c.Progress("Migrating the database …")
		if _, err = postgres.Migrate(ctx, cluster.Owner()); err == nil {
			db, err = postgres.Open(ctx, conf)
		}
	}
	if err != nil {
		return nil, cluster, "", err
	}
	db.SetPolicyParser(policy.Parse)
	return db, cluster, gateURL, nil
}

// watchCluster tells when the private cluster ends without being told to.
func (in *Instance) watchCluster() {
	<-in.cluster.Done()
	if in.closed.Load() {
		return
	}
	select {
	case in.failed <- errors.New("PostgreSQL ended by itself"):
	default:
	}
}

// prepare makes what several parts use.
func (in *Instance) prepare() error {
	var err error
	if in.letters, err = loadLetters(in.c.Letters); err != nil {
		return err
	}
	return in.openSender()
}

func loadLetters(dir string) (*letters.Letters, error) {
	if dir == "" {
		return letters.New(nil)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("read POSTERN_LETTERS: %w", err)
	}
	l, err := letters.New(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("read the letters in %s: %w", dir, err)
	}
	return l, nil
}

func (in *Instance) openDesk(run context.Context) error {
	c := &in.c
	if !c.Desk {
		return nil
	}
	in.Work = work.New(work.Config{
		DB: in.DB, Sender: in.sender, Letters: in.letters, From: c.MailFrom, AuthServ: c.MailAuthServ, DeskURL: in.DeskURL, GateURL: in.GateURL,
		Version: c.Version, Data: c.Data, Workers: c.Workers, Sweep: c.Sweep, Demo: c.Demo, Log: c.Log,
	})
	in.Commands = &Commands{DB: in.DB, Publish: in.Work.PublishSite, DeskURL: in.DeskURL, Wake: in.Work.Wake, VaultCost: c.VaultCost, Doctor: in.Doctor}
	proxies, err := c.proxies()
	if err != nil {
		return err
	}
	conf := desk.Config{
		DB: in.DB, URL: in.DeskURL, GateURL: in.GateURL, From: c.MailFrom, Letters: in.letters,
		Renderer: in.renderer, Doctor: in.Doctor, Wake: in.Work.Wake, Unlocked: in.Work.Wake, OpenWith: in.Work.OpenWith,
		PasswordCost: c.PasswordCost, VaultCost: c.VaultCost, Proxies: proxies, Demo: c.Demo, Log: c.Log,
	}
	if in.outbox != nil {
		conf.Outbox = keptMail{in.outbox}
	}
	if c.Demo {
		conf.MoveTime = in.MoveTime
	}
	if in.Desk, err = desk.New(conf); err != nil {
		return fmt.Errorf("open the desk: %w", err)
	}
	in.serve("desk", in.Desk)
	in.resume = sync.OnceFunc(func() { in.running.Go(func() { in.work(run) }) })
	if !c.Paused {
		in.resume()
	}
	return nil
}

// Resume lets work begin that Config.Paused kept back. It acts once.
func (in *Instance) Resume() {
	if in.resume != nil && !in.closed.Load() {
		in.resume()
	}
}

func (in *Instance) work(run context.Context) {
	if err := in.Work.Run(run); err != nil {
		in.c.Log.Error("work ended", "error", err)
		select {
		case in.failed <- fmt.Errorf("work ended: %w", err):
		default:
		}
	}
}

// renderer renders as the keys at hand allow.
func (in *Instance) renderer(now time.Time) publish.Renderer {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := in.Work.Renderer(ctx)
	if err != nil {
		in.c.Log.Warn("signed documents stay as they are: the team's key cannot be read", "error", err)
	}
	r.Now = func() time.Time { return now }
	return r
}

// MoveTime puts the demo's time forward, does what became due, and returns
// when that is done.
func (in *Instance) MoveTime(ctx context.Context, by time.Duration) error {
	if err := in.DB.MoveTime(ctx, disclosure.System("demo"), by); err != nil {
		return err
	}
	_, err := in.Work.Once(ctx)
	return err
}

func (in *Instance) openGate(ctx, run context.Context) error {
	c := &in.c
	if !c.Gate {
		return nil
	}
	proxies, err := c.proxies()
	if err != nil {
		return err
	}
	now := c.Wall
	if in.DB != nil {
		now = in.DB.Now
	}
	in.Gate = gate.New(gate.Config{
		DB: in.gateDB, URL: in.GateURL, Spool: filepath.Join(c.Data, "spool"), Version: c.Version, Schema: postgres.KnownSchema(),
		Now: now, Proxies: proxies, Pin: c.VaultPin, Demo: c.Demo, Log: c.Log,
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := in.Gate.Start(run); err != nil {
		if in.DB != nil && in.c.Desk && !in.c.Paused {
			in.Work.Wake() // an upgrade: the first rendering is on its way
		}
		c.Log.Warn("the gate has nothing to show yet", "error", err)
	}
	in.serve("gate", in.Gate)
	return nil
}

// serve answers on an address bound before.
func (in *Instance) serve(name string, h http.Handler) {
	s := server.HTTP(h, in.c.Log)
	in.http = append(in.http, s)
	l := in.bound[name]
	delete(in.bound, name)
	in.running.Go(func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			select {
			case in.failed <- fmt.Errorf("the %s stopped: %w", name, err):
			default:
			}
		}
	})
}

// unlock opens the vault with the passphrase given at the start. A wrong one
// is an error: whoever set it wants to know.
func (in *Instance) unlock() error {
	if in.DB == nil || in.c.Passphrase == "" {
		return nil
	}
	_, err := in.DB.Vault().Unlock(strings.TrimRight(in.c.Passphrase, "\r\n"))
	in.c.Passphrase = ""
	if err != nil {
		return fmt.Errorf("unlock with the passphrase given: %w", err)
	}
	in.Work.Wake()
	return nil
}

// Doctor looks at this instance.
func (in *Instance) Doctor(ctx context.Context) []doctor.Finding {
	return doctor.Run(ctx, doctor.Facts{
		DB: in.DB, Version: in.c.Version, Relay: in.relay, Outbox: in.outbox, Fetcher: in.fetcher,
		Data: in.c.Data, GateURL: in.GateURL, DeskURL: in.DeskURL, Now: in.DB.Now,
	})
}

// Close stops taking what comes, finishes what is under way, and stops the
// private cluster, in less than 15 seconds. The second call waits for the
// first and returns the same.
func (in *Instance) Close(ctx context.Context) error {
	in.closing.Do(func() { in.closeErr = in.close(ctx) })
	return in.closeErr
}

func (in *Instance) close(ctx context.Context) error {
	in.closed.Store(true)
	ctx, cancel := context.WithTimeout(ctx, closeTime/3)
	defer cancel()
	for _, l := range in.bound {
		_ = l.Close()
	}
	var doors sync.WaitGroup
	for _, s := range in.http {
		doors.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				_ = s.Close()
			}
		})
	}
	if in.mail != nil {
		doors.Go(func() { in.mail.close(ctx) })
	}
	doors.Wait()
	if in.stop != nil {
		in.stop()
	}
	ended := make(chan error, 1)
	go func() {
		in.running.Wait()
		if in.relay != nil {
			_ = in.relay.Close()
		}
		in.closeDatabase()
		if in.cluster != nil {
			ended <- in.cluster.Stop()
			return
		}
		ended <- nil
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(closeTime * 2 / 3):
	}
	if in.cluster != nil {
		_ = in.cluster.Stop() // whoever still uses it is cut off
	}
	return errors.New("something did not stop in time")
}

func (in *Instance) closeDatabase() {
	if in.gateDB != nil {
		in.gateDB.Close()
	}
	if in.DB != nil {
		if v := in.DB.Vault(); v != nil {
			v.Lock()
		}
		in.DB.Close()
	}
}
