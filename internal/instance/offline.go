package instance

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/vault"
)

// Offline is a database opened for one command, while no process runs on it.
type Offline struct {
	Commands *Commands
	DB       *postgres.DB
	c        Config
	cluster  *embedded.Cluster
}

// Open opens the database of a Config for one command, and starts the private
// cluster when none is named. A database without an instance opens too: Setup
// is what it is good for then.
func Open(ctx context.Context, c Config) (*Offline, error) {
	c.Gate, c.Desk = false, true
	if err := c.defaults(); err != nil {
		return nil, err
	}
	noCoreDumps()
	if err := c.makeData(); err != nil {
		return nil, err
	}
	gateURL, deskURL := orElse(c.GateURL, "http://"+c.GateAddr), orElse(c.DeskURL, "http://"+c.DeskAddr)
	db, cluster, _, err := open(ctx, &c, gateURL)
	o := &Offline{DB: db, c: c, cluster: cluster}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	o.Commands = &Commands{DB: db, Publish: publisher(db, c.Version, c.Demo), DeskURL: deskURL, VaultCost: c.VaultCost, Doctor: o.doctor}
	return o, nil
}

// Close locks the vault and stops the private cluster.
func (o *Offline) Close() error {
	if o.DB != nil {
		if v := o.DB.Vault(); v != nil {
			v.Lock()
		}
		o.DB.Close()
	}
	if o.cluster != nil {
		return o.cluster.Stop()
	}
	return nil
}

func (o *Offline) doctor(ctx context.Context) []doctor.Finding { return Examine(ctx, o.c, o.DB, nil) }

// Examine looks at an installation that does not run. db may be nil; openErr
// says why then.
func Examine(ctx context.Context, c Config, db *postgres.DB, openErr error) []doctor.Finding {
	c.Gate, c.Desk = false, true
	if err := c.defaults(); err != nil {
		return []doctor.Finding{{Severity: doctor.Fail, What: err.Error(), Why: "Postern does not start.", Mend: "mend the setting"}}
	}
	f := doctor.Facts{DB: db, DBError: openErr, Version: c.Version, Data: c.Data,
		GateURL: orElse(c.GateURL, "http://"+c.GateAddr), DeskURL: orElse(c.DeskURL, "http://"+c.DeskAddr)}
	if db != nil {
		f.Now = db.Now
	}

	_, f.Relay, f.Outbox, f.RelayError = newSender(&c)
	return doctor.Run(ctx, f)
}

// SetupRequest is what a new instance is made from.
type SetupRequest struct {
	Holder     string // who knows the passphrase
	Passphrase string
	Policy     string // TOML
	Demo       bool
	// Confirm is shown the recovery phrase before anything is stored; an error
	// stores nothing.
	Confirm func(recovery string) error
	Member  Invite // the first one
}

// Format keeps secrets out of fmt's output.
func (SetupRequest) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[setup]")) }

// SetupResult is a new instance.
type SetupResult struct {
	Fingerprint string // of the team's key
	Revocation  []byte // armored certificate, to be kept away from the key and the database
	Link        Link   // of the first member
}

// Setup makes the database an instance's: vault, team key, policy, the first
// member, the first edition. Everything a person may have got wrong is looked
// at before anything is stored.
func (c *Commands) Setup(ctx context.Context, r SetupRequest) (*SetupResult, error) {
	if c.DB.Vault() != nil {
		return nil, errors.New("this database belongs to an instance already: to change it, use postern policy, key and member")
	}
	p, err := policy.Parse([]byte(r.Policy))
	if err != nil {
		return nil, fmt.Errorf("read the policy:\n%w", err)
	}
	if _, err := disclosure.ParseRoles(r.Member.Roles); err != nil {
		return nil, err
	}
	cost := c.VaultCost
	if cost == (vault.Cost{}) {
		cost = vault.DefaultCost
	}
	id, now := vault.NewInstanceID(), c.DB.Now()
	made, err := vault.Setup(id, orElse(r.Holder, "first holder"), r.Passphrase, now, cost)
	if err != nil {
		return nil, err
	}
	key, revocation, err := pgp.NewTeam(p.Project.Name+" security team", p.Contact.Address, now)
	if err != nil {
		return nil, err
	}
	if r.Confirm != nil {
		if err := r.Confirm(made.Recovery); err != nil {
			return nil, err
		}
	}
	if err := c.DB.Setup(ctx, operator, postgres.NewInstance{ID: id, Record: made.Record, Slots: made.Slots, Vault: made.Vault, Demo: r.Demo}); err != nil {
		return nil, err
	}
	if _, err := c.DB.ApplyPolicy(ctx, operator, []byte(r.Policy)); err != nil {
		return nil, fmt.Errorf("the vault is made, but the policy was not applied: %w", err)
	}
	if _, err := c.storeKey(ctx, key); err != nil {
		return nil, fmt.Errorf("the vault is made, but not all of the team's key: %w", err)
	}
	link, err := c.invite(ctx, r.Member)
	if err != nil {
		return nil, fmt.Errorf("everything is made but the first member: %w; run postern member invite", err)
	}
	if strings.EqualFold(strings.TrimSpace(r.Holder), strings.TrimSpace(r.Member.Name)) {
		first, err := c.find(ctx, r.Member.Address)
		if err == nil {
			err = c.DB.GiveSlot(ctx, operator, made.Slots[0].ID, first.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("everything is made, but the passphrase is not noted as the first member's: %w", err)
		}
	}
	return &SetupResult{Fingerprint: key.Certificate().Fingerprint(), Revocation: revocation, Link: link}, nil
}
