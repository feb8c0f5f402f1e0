package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/publish"
	"postern/internal/vault"
)

// Commands are what an operator does from the command line: the same whether
// the running process is asked through its socket or the database is opened
// for the one command.
type Commands struct {
	DB        *postgres.DB
	Publish   func(context.Context, disclosure.Caller) error // renders the site again
	DeskURL   string
	Wake      func() // nil: nobody is to be woken
	VaultCost vault.Cost
	Doctor    func(context.Context) []doctor.Finding
}

// operator is the caller of every command: whoever may use the socket or the
// database's login. The log says so.
var operator = disclosure.System("operator at the command line")

// Args and results of the commands, as they travel over the socket.
type (
	// Secret is a passphrase or recovery phrase.
	Secret struct{ Secret string }
	// Invite asks for a member, or says who is meant.
	Invite struct {
		Name    string
		Address string
		Roles   []string
	}
	// Link is a one-time link.
	Link struct {
		URL   string
		Until time.Time
	}
	// Person is a member as the list shows it.
	Person struct {
		Name, Address, Roles, State string
	}
	// PolicyText is a policy file.
	PolicyText struct{ TOML string }
	// Applied says which policy is in force.
	Applied struct {
		Version int
		TOML    string
	}
	// KeyFile is a secret key, in armor or binary, with its passphrase.
	KeyFile struct {
		Key        []byte
		Passphrase string
	}
	// KeyInfo is the team's key.
	KeyInfo struct {
		Fingerprint string
		UserIDs     []string
		Armor       string // public
		Subkeys     []pgp.Subkey
		Retired     []string // fingerprints of earlier keys
		Vault       string   // fingerprint of the vault's public key, for POSTERN_VAULT_PIN
	}
	// Status is how the instance stands.
	Status struct {
		Unlocked bool
		Waiting  int
		Held     []string
	}
	nothing struct{}
)

// Format keeps secrets out of fmt's output.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

// Format keeps secrets out of fmt's output.
func (KeyFile) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key]")) }

// command reads its arguments and answers.
type command func(ctx context.Context, args json.RawMessage) (any, error)

func (c *Commands) table() map[string]command {
	return map[string]command{
		"status":         with(c.status),
		"unlock":         with(c.unlock),
		"lock":           with(c.lock),
		"member.invite":  with(c.invite),
		"member.list":    with(c.members),
		"member.disable": with(c.disable),
		"member.enable":  with(c.enable),
		"member.reset":   with(c.reset),
		"policy.apply":   with(c.applyPolicy),
		"policy.show":    with(c.showPolicy),
		"key.show":       with(c.showKey),
		"key.export":     with(c.exportKey),
		"key.import":     with(c.importKey),
		"key.renew":      with(c.renewKey),
		"log.verify":     with(c.verifyLog),
		"doctor":         with(c.doctor),
		"publish":        with(c.publish),
	}
}

func with[A, R any](f func(context.Context, A) (R, error)) command {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, errors.New("the command's arguments cannot be read: is the running program of another version?")
			}
		}
		return f(ctx, args)
	}
}

// Do runs one command. Unknown ones are an error that says so.
func (c *Commands) Do(ctx context.Context, name string, args, result any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("write the arguments of %s: %w", name, err)
	}
	out, err := c.do(ctx, name, raw)
	if err != nil {
		return err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("write the result of %s: %w", name, err)
	}
	return json.Unmarshal(b, result)
}

func (c *Commands) do(ctx context.Context, name string, args json.RawMessage) (any, error) {
	f, ok := c.table()[name]
	if !ok {
		return nil, fmt.Errorf("the running program knows no command %q: is it of another version?", name)
	}
	return f(ctx, args)
}

func (c *Commands) wake() {
	if c.Wake != nil {
		c.Wake()
	}
}

func (c *Commands) status(ctx context.Context, _ nothing) (Status, error) {
	n, _, err := c.DB.WaitingArrivals(ctx)
	if err != nil {
		return Status{}, err
	}
	held, err := c.DB.Held(ctx)
	return Status{Unlocked: c.DB.Vault().Unlocked(), Waiting: n, Held: held.Because}, err
}

func (c *Commands) unlock(ctx context.Context, s Secret) (Status, error) {
	if err := c.DB.Unlock(ctx, s.Secret); err != nil {
		return Status{}, err
	}
	c.wake()
	return c.status(ctx, nothing{})
}

func (c *Commands) lock(ctx context.Context, _ nothing) (Status, error) {
	c.DB.Vault().Lock()
	return c.status(ctx, nothing{})
}

// inviteLasts is how long a one-time link can be taken.
const inviteLasts = 7 * 24 * time.Hour

func (c *Commands) invite(ctx context.Context, i Invite) (Link, error) {
	roles, err := disclosure.ParseRoles(i.Roles)
	if err != nil {
		return Link{}, err
	}
	token, hash := auth.NewToken()
	until := c.DB.Wall().Add(inviteLasts)
	if _, err := c.DB.Invite(ctx, operator, i.Name, i.Address, roles, hash[:], until); err != nil {
		return Link{}, err
	}
	return Link{c.DeskURL + "/invite/" + token, until}, nil
}

func (c *Commands) members(ctx context.Context, _ nothing) ([]Person, error) {
	list, err := c.DB.Members(ctx, operator)
	if err != nil {
		return nil, err
	}
	people := make([]Person, len(list))
	for i, m := range list {
		people[i] = Person{m.Name, m.Login, m.Roles.String(), memberState(m, c.DB.Wall())}
	}
	return people, nil
}

func memberState(m postgres.Member, now time.Time) string {
	switch {
	case !m.Disabled.IsZero():
		return "disabled"
	case m.InviteUntil.After(now):
		return "invited until " + m.InviteUntil.UTC().Format("2 January 15:04 UTC")
	case !m.Joined:
		return "invitation ran out"
	}
	return "active"
}

// find takes an address, or a name that only one member has.
func (c *Commands) find(ctx context.Context, who string) (postgres.Member, error) {
	list, err := c.DB.Members(ctx, operator)
	if err != nil {
		return postgres.Member{}, err
	}
	who = strings.TrimSpace(who)
	var found []postgres.Member
	for _, m := range list {
		if strings.EqualFold(m.Login, who) {
			return m, nil
		}
		if strings.EqualFold(m.Name, who) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return postgres.Member{}, fmt.Errorf("no member has the address or name %q: see postern member list", who)
	}
	return postgres.Member{}, fmt.Errorf("%d members are called %q: give the address", len(found), who)
}

func (c *Commands) disable(ctx context.Context, i Invite) (Person, error) {
	m, err := c.find(ctx, i.Address)
	if err != nil {
		return Person{}, err
	}
	if err := c.DB.Disable(ctx, operator, m.ID); err != nil {
		return Person{}, err
	}
	return Person{m.Name, m.Login, m.Roles.String(), "disabled"}, nil
}

func (c *Commands) enable(ctx context.Context, i Invite) (Person, error) {
	m, err := c.find(ctx, i.Address)
	if err != nil {
		return Person{}, err
	}
	if err := c.DB.Enable(ctx, operator, m.ID); err != nil {
		return Person{}, err
	}
	return Person{m.Name, m.Login, m.Roles.String(), "active"}, nil
}

func (c *Commands) reset(ctx context.Context, i Invite) (Link, error) {
	m, err := c.find(ctx, i.Address)
	if err != nil {
		return Link{}, err
	}
	token, hash := auth.NewToken()
	until := c.DB.Wall().Add(inviteLasts)
	if err := c.DB.ResetMember(ctx, operator, m.ID, hash[:], until); err != nil {
		return Link{}, err
	}
	return Link{c.DeskURL + "/invite/" + token, until}, nil
}

func (c *Commands) applyPolicy(ctx context.Context, p PolicyText) (Applied, error) {
	got, err := c.DB.ApplyPolicy(ctx, operator, []byte(p.TOML))
	if err != nil {
		return Applied{}, err
	}
	if err := c.Publish(ctx, operator); err != nil {
		return Applied{}, fmt.Errorf("policy %d is in force, but the site was not rendered: %w", got.Version, err)
	}
	return Applied{Version: got.Version}, nil
}

func (c *Commands) showPolicy(ctx context.Context, _ nothing) (Applied, error) {
	list, err := c.DB.Policies(ctx, operator)
	if err != nil {
		return Applied{}, err
	}
	if len(list) == 0 {
		return Applied{}, errors.New("no policy is in force: run postern policy apply FILE")
	}
	return Applied{list[0].Version, list[0].TOML}, nil
}

func (c *Commands) publish(ctx context.Context, _ nothing) (nothing, error) {
	return nothing{}, c.Publish(ctx, operator)
}

func (c *Commands) showKey(ctx context.Context, _ nothing) (KeyInfo, error) {
	keys, err := c.DB.PublicKeys(ctx)
	if err != nil {
		return KeyInfo{}, err
	}
	info := KeyInfo{Vault: c.DB.Vault().Public().Fingerprint()}
	for _, k := range keys {
		if k.Kind != "team" {
			continue
		}
		if !k.Retired.IsZero() {
			info.Retired = append(info.Retired, k.ID)
			continue
		}
		certs, err := pgp.ParseCertificates(k.Public)
		if err != nil {
			return KeyInfo{}, fmt.Errorf("read the team's certificate: %w", err)
		}
		info.Fingerprint, info.UserIDs, info.Armor = certs[0].Fingerprint(), certs[0].UserIDs(), string(certs[0].Armored())
	}
	if info.Fingerprint == "" {
		return info, errors.New("the team has no key: run postern key import FILE")
	}
	if !c.DB.Vault().Unlocked() {
		return info, nil
	}
	secret, err := c.teamKey(ctx)
	if err != nil {
		return info, err
	}
	info.Subkeys = secret.Subkeys(c.DB.Now())
	return info, nil
}

// teamKey is the current one, with its secrets.
func (c *Commands) teamKey(ctx context.Context) (*pgp.Secret, error) {
	keys, err := c.DB.TeamKeys(ctx, operator)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 || !keys[0].Retired.IsZero() {
		return nil, errors.New("the team has no current key: run postern key import FILE")
	}
	defer clear(keys[0].Secret)
	return pgp.ParseSecret(keys[0].Secret, nil)
}

func (c *Commands) exportKey(ctx context.Context, f KeyFile) (KeyFile, error) {
	secret, err := c.teamKey(ctx)
	if err != nil {
		return KeyFile{}, err
	}
	armor, err := secret.Export([]byte(f.Passphrase))
	return KeyFile{Key: armor}, err
}

func (c *Commands) importKey(ctx context.Context, f KeyFile) (KeyInfo, error) {
	secret, err := pgp.ParseSecret(f.Key, []byte(f.Passphrase))
	if err != nil {
		return KeyInfo{}, err
	}
	return c.storeKey(ctx, secret)
}

func (c *Commands) renewKey(ctx context.Context, _ nothing) (KeyInfo, error) {
	secret, err := c.teamKey(ctx)
	if err != nil {
		return KeyInfo{}, err
	}
	renewed, err := secret.Renew(c.DB.Now())
	if err != nil {
		return KeyInfo{}, err
	}
	return c.storeKey(ctx, renewed)
}

func (c *Commands) storeKey(ctx context.Context, s *pgp.Secret) (KeyInfo, error) {
	cert := s.Certificate()
	if err := c.DB.StoreTeamKey(ctx, operator, cert.Fingerprint(), cert.Binary(), s.Bytes()); err != nil {
		return KeyInfo{}, err
	}
	err := c.Publish(ctx, operator)
	if err != nil && !errors.Is(err, disclosure.ErrNotFound) { // no policy yet: nothing is rendered
		return KeyInfo{}, fmt.Errorf("the key is stored, but the site was not rendered: %w", err)
	}
	c.wake()
	return c.showKey(ctx, nothing{})
}

func (c *Commands) verifyLog(ctx context.Context, _ nothing) (postgres.LogCheck, error) {
	return c.DB.VerifyLog(ctx)
}

func (c *Commands) doctor(ctx context.Context, _ nothing) ([]doctor.Finding, error) {
	return c.Doctor(ctx), nil
}

// publisher renders with what a single command has at hand.
func publisher(db *postgres.DB, version string, demo bool) func(context.Context, disclosure.Caller) error {
	return func(ctx context.Context, by disclosure.Caller) error {
		r := publish.Renderer{Version: version, Now: db.Now, Demo: demo}
		c := &Commands{DB: db}
		if db.Vault().Unlocked() {
			secret, err := c.teamKey(ctx)
			if err == nil {
				r.Sign = func(text []byte, now time.Time) ([]byte, error) { return pgp.ClearSign(text, secret, now) }
			}
		}
		return db.PublishSite(ctx, by, r.Render)
	}
}
