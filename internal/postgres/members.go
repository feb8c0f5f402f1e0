package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"postern/internal/disclosure"
)

// Member is a person of the security team. Nothing of it is sealed except the
// secret of the second factor.
type Member struct {
	ID          disclosure.MemberID
	Login       string // lower case mail address
	Name        string
	Address     string // alerts go here
	Roles       disclosure.Roles
	Zone        string                 // IANA
	Alerts      []disclosure.AlertKind // kinds wanted
	Certificate []byte                 // alerts are encrypted to it when given
	SigningKeys [][]byte               // registered personal certificates
	Joined      bool                   // took the invitation
	InviteUntil time.Time              // wall time; zero: no invitation is open
	Created     time.Time
	Disabled    time.Time // zero: active
}

// SignIn is what checking a password and a code takes.
type SignIn struct {
	Member   Member
	Password string // argon2id PHC; empty until the invitation is taken
	TOTP     []byte // secret
	Step     int64  // the last one used
}

// Format keeps secrets out of fmt's output.
func (s SignIn) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[sign-in]") }

// AllAlerts is what a new member is told of.
var AllAlerts = []disclosure.AlertKind{
	disclosure.AlertReport, disclosure.AlertMessage, disclosure.AlertHalf, disclosure.AlertFourFifths, disclosure.AlertBreach,
	disclosure.AlertHeld, disclosure.AlertLocked, disclosure.AlertDelivery, disclosure.AlertHour, disclosure.AlertAttention,
	disclosure.AlertApplication,
}

const memberColumns = `id, login, name, address, roles, zone, alerts, certificate, signing_keys,
	password IS NOT NULL, invite_until, created, disabled`

func scanMember(r pgx.CollectableRow, more ...any) (m Member, err error) {
	var roles, alerts []string
	var until, disabled *time.Time
	err = r.Scan(append([]any{&m.ID, &m.Login, &m.Name, &m.Address, &roles, &m.Zone, &alerts, &m.Certificate,
		&m.SigningKeys, &m.Joined, &until, &m.Created, &disabled}, more...)...)
	if err != nil {
		return m, err
	}
	m.InviteUntil, m.Disabled, m.Created = timeOf(until), timeOf(disabled), m.Created.UTC()
	for _, a := range alerts {
		m.Alerts = append(m.Alerts, disclosure.AlertKind(a))
	}
	m.Roles, err = disclosure.ParseRoles(roles)
	return m, err
}

// Caller is the member as a caller, without a step-up.
func (m Member) Caller() disclosure.Caller {
	return disclosure.Caller{Member: m.ID, Name: m.Name, Roles: m.Roles}
}

// Invite adds a member who joins by the one-time link whose token has this
// hash, until the given wall time. Admins only; an address that is taken is
// refused.
func (db *DB) Invite(ctx context.Context, by disclosure.Caller, name, login string, roles disclosure.Roles, hash []byte, until time.Time) (disclosure.MemberID, error) {
	if err := db.mayAdminister(by); err != nil {
		return "", err
	}
	name, login = strings.TrimSpace(name), normalLogin(login)
	var r *disclosure.Refusal
	if name == "" || len(name) > 100 {
		r = r.Add("name", "Give the member a name of at most 100 characters.")
	}
	if a, err := mail.ParseAddress(login); err != nil || a.Address != login {
		r = r.Add("login", "Give one mail address, such as ada@example.org.")
	}
	if len(roles.Names()) == 0 {
		r = r.Add("roles", "Choose at least one role.")
	}
	if err := r.Err(); err != nil {
		return "", err
	}
	id := disclosure.MemberID(disclosure.NewID())
	return id, db.transact(ctx, by, func(t *tx) error {
		_, err := t.Exec(ctx, `INSERT INTO member (id, login, name, roles, address, alerts, invite, invite_until, created)
			VALUES ($1, $2, $3, $4, $2, $5, $6, $7, $8)`,
			id, login, name, roles.Names(), AllAlerts, hash, until, t.now)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.ConstraintName == "member_login_key" {
			return disclosure.Refuse("login", "There is a member with this address already.")
		}
		if err != nil {
			return fmt.Errorf("add the member: %w", err)
		}
		t.note("member.invited", string(id), map[string]any{"roles": roles.Names()})
		return nil
	})
}

func normalLogin(login string) string { return strings.ToLower(strings.TrimSpace(login)) }

// Invited finds who an open invitation is for; ErrNotFound when it was taken,
// ran out, or never was.
func (db *DB) Invited(ctx context.Context, hash []byte) (Member, error) {
	return db.oneMember(ctx, `invite = $1 AND invite_until > $2 AND disabled IS NULL`, hash, db.Wall())
}

func (db *DB) oneMember(ctx context.Context, where string, args ...any) (Member, error) {
	rows, err := db.pool.Query(ctx, `SELECT `+memberColumns+` FROM member WHERE `+where, args...)
	if err != nil {
		return Member{}, fmt.Errorf("read the member: %w", unavailable(err))
	}
	m, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (Member, error) { return scanMember(r) })
	if err != nil {
		return Member{}, fmt.Errorf("read the member: %w", unavailable(notFound(err)))
	}
	return m, nil
}

// AcceptInvite sets password (PHC) and second factor, and uses the invitation
// up. step is the code's that proved the second factor, so that it cannot be
// used again. It needs an unlocked vault.
func (db *DB) AcceptInvite(ctx context.Context, hash []byte, password string, totp []byte, step int64) (Member, error) {
	m, err := db.Invited(ctx, hash)
	if err != nil {
		return m, err
	}
	err = db.transact(ctx, m.Caller(), func(t *tx) error {
		desk, err := db.deskKey()
		if err != nil {
			return err
		}
		sealed := desk.Seal(db.aad("member", "totp", string(m.ID), "", 1), totp)
		tag, err := t.Exec(ctx, `UPDATE member SET password = $3, totp = $4, totp_step = $5, invite = NULL, invite_until = NULL
			WHERE id = $1 AND invite = $2`, m.ID, hash, password, sealed, step)
		if err != nil {
			return fmt.Errorf("take the invitation: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.ErrNotFound
		}
		t.note("member.joined", string(m.ID), nil)
		return nil
	})
	m.Joined, m.InviteUntil = err == nil, time.Time{}
	return m, err
}

// Members lists everybody, by name; disabled ones last. Every member may see it.
func (db *DB) Members(ctx context.Context, by disclosure.Caller) (list []Member, err error) {
	batch := &pgx.Batch{}
	queueMembers(batch, &list)
	if err := db.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read the members: %w", unavailable(err))
	}
	return list, nil
}

func queueMembers(batch *pgx.Batch, list *[]Member) {
	batch.Queue(`SELECT ` + memberColumns + ` FROM member ORDER BY disabled IS NOT NULL, name, id`).Query(func(rows pgx.Rows) (err error) {
		*list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (Member, error) { return scanMember(r) })
		return err
	})
}

// Member returns one, disabled ones too.
func (db *DB) Member(ctx context.Context, by disclosure.Caller, id disclosure.MemberID) (Member, error) {
	return db.oneMember(ctx, `id = $1`, id)
}

// ByLogin is for signing in: an active member who took the invitation, with
// password and opened second factor. It needs an unlocked vault. Nobody is
// ErrNotFound; the caller spends the time of a check all the same.
func (db *DB) ByLogin(ctx context.Context, login string) (SignIn, error) {
	return db.signIn(ctx, `login = $1`, normalLogin(login))
}

// SignInOf is ByLogin for somebody already known, for the step-up.
func (db *DB) SignInOf(ctx context.Context, member disclosure.MemberID) (SignIn, error) {
	return db.signIn(ctx, `id = $1`, string(member))
}

func (db *DB) signIn(ctx context.Context, where, arg string) (SignIn, error) {
	desk, err := db.deskKey()
	if err != nil {
		return SignIn{}, err
	}
	rows, err := db.pool.Query(ctx, `SELECT `+memberColumns+`, password, totp, totp_step FROM member
		WHERE `+where+` AND disabled IS NULL AND password IS NOT NULL AND totp IS NOT NULL`, arg)
	if err != nil {
		return SignIn{}, fmt.Errorf("read the member: %w", unavailable(err))
	}
	s, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (s SignIn, err error) {
		var sealed []byte
		if s.Member, err = scanMember(r, &s.Password, &sealed, &s.Step); err != nil {
			return s, err
		}
		s.TOTP, err = desk.Open(db.aad("member", "totp", string(s.Member.ID), "", 1), sealed)
		return s, err
	})
	if err != nil {
		return SignIn{}, fmt.Errorf("read the member: %w", unavailable(notFound(err)))
	}
	return s, nil
}

// SetRoles changes what a member may do. The last active admin stays one. Who
// may see no case any more is told of none, not even of what was to be mailed.
func (db *DB) SetRoles(ctx context.Context, by disclosure.Caller, id disclosure.MemberID, roles disclosure.Roles) error {
	if len(roles.Names()) == 0 {
		return disclosure.Refuse("roles", "Choose at least one role, or disable the member.")
	}
	return db.manage(ctx, by, id, func(t *tx) error {
		if _, err := t.Exec(ctx, `UPDATE member SET roles = $2 WHERE id = $1`, id, roles.Names()); err != nil {
			return fmt.Errorf("set the roles: %w", err)
		}
		if roles&(disclosure.Triager|disclosure.Releaser|disclosure.Admin) == 0 {
			_, err := t.Exec(ctx, `UPDATE alert SET next_at = NULL WHERE member = $1 AND next_at IS NOT NULL AND kind <> ALL($2)`,
				id, []string{string(disclosure.AlertHeld), string(disclosure.AlertLocked)})
			if err != nil {
				return fmt.Errorf("cancel the alerts: %w", err)
			}
		}
		if roles&disclosure.Admin == 0 {
			_, err := t.Exec(ctx, `UPDATE alert SET next_at = NULL WHERE member = $1 AND next_at IS NOT NULL AND ref LIKE '/applications%'`, id)
			if err != nil {
				return fmt.Errorf("cancel the alerts: %w", err)
			}
		}
		t.note("member.roles", string(id), map[string]any{"roles": roles.Names()})
		return t.anAdminIsLeft(ctx)
	})
}

// Disable shuts a member out at once: sessions end, invitations are void,
// alerts not yet mailed stay unsent, and no secret of theirs opens the vault
// any more. The last active admin cannot be disabled, nor who alone can unlock.
func (db *DB) Disable(ctx context.Context, by disclosure.Caller, id disclosure.MemberID) error {
	slots := 0
	err := db.manage(ctx, by, id, func(t *tx) (err error) {
		if slots, err = t.removeSlotsOf(ctx, id); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`UPDATE member SET disabled = $2, invite = NULL, invite_until = NULL WHERE id = $1 AND disabled IS NULL`, id, t.now)
		batch.Queue(`DELETE FROM session WHERE member = $1`, id)
		batch.Queue(`UPDATE alert SET next_at = NULL WHERE member = $1 AND next_at IS NOT NULL`, id)
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("disable the member: %w", err)
		}
		t.note("member.disabled", string(id), nil)
		return t.anAdminIsLeft(ctx)
	})
	if err != nil || slots == 0 {
		return err
	}
	db.reloadAfter(ctx)
	return nil
}

// Enable lets a disabled member in again, with the password there was; their
// slots of the vault are gone.
func (db *DB) Enable(ctx context.Context, by disclosure.Caller, id disclosure.MemberID) error {
	return db.manage(ctx, by, id, func(t *tx) error {
		if _, err := t.Exec(ctx, `UPDATE member SET disabled = NULL WHERE id = $1`, id); err != nil {
			return fmt.Errorf("enable the member: %w", err)
		}
		t.note("member.enabled", string(id), nil)
		return nil
	})
}

// ResetMember takes password and second factor away, ends every session, and
// opens a new invitation.
func (db *DB) ResetMember(ctx context.Context, by disclosure.Caller, id disclosure.MemberID, hash []byte, until time.Time) error {
	return db.manage(ctx, by, id, func(t *tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`UPDATE member SET password = NULL, totp = NULL, invite = $2, invite_until = $3 WHERE id = $1`, id, hash, until)
		batch.Queue(`DELETE FROM session WHERE member = $1`, id)
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("reset the member: %w", err)
		}
		t.note("member.reset", string(id), nil)
		return nil
	})
}

// mayAdminister: what decides who gets in asks an admin for a fresh second
// factor, as a session alone may be somebody else's. The operator's commands
// act as the system.
func (db *DB) mayAdminister(by disclosure.Caller) error {
	switch {
	case !by.Can(disclosure.Admin):
		return disclosure.ErrForbidden
	case !by.IsSystem() && !by.SteppedUp(db.Wall()):
		return disclosure.ErrStepUp
	}
	return nil
}

// manage is one admin's step about one member. All such steps wait for one
// another, so that two cannot each take the other's admin away.
func (db *DB) manage(ctx context.Context, by disclosure.Caller, id disclosure.MemberID, f func(*tx) error) error {
	if err := db.mayAdminister(by); err != nil {
		return err
	}
	return db.transact(ctx, by, func(t *tx) error {
		rows, err := t.Query(ctx, `SELECT id FROM member ORDER BY id FOR NO KEY UPDATE`)
		if err != nil {
			return fmt.Errorf("lock the members: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("lock the members: %w", err)
		}
		if !slices.Contains(ids, string(id)) {
			return disclosure.ErrNotFound
		}
		return f(t)
	})
}

func (t *tx) anAdminIsLeft(ctx context.Context) error {
	var ok bool
	err := t.QueryRow(ctx, `SELECT EXISTS (SELECT FROM member WHERE disabled IS NULL AND 'admin' = ANY(roles))`).Scan(&ok)
	if err != nil {
		return fmt.Errorf("look for an admin: %w", err)
	}
	if !ok {
		return disclosure.Refuse("roles", "This is the last admin. Make somebody else one first.")
	}
	return nil
}

// own changes the caller's own row.
func (db *DB) own(ctx context.Context, by disclosure.Caller, kind, set string, arg any) error {
	if by.Member == "" {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error {
		tag, err := t.Exec(ctx, `UPDATE member SET `+set+` WHERE id = $1 AND disabled IS NULL`, by.Member, arg)
		if err != nil {
			return fmt.Errorf("change the member: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.ErrNotFound
		}
		t.note(kind, string(by.Member), nil)
		return nil
	})
}

// SetPassword replaces the caller's own password (PHC).
func (db *DB) SetPassword(ctx context.Context, by disclosure.Caller, password string) error {
	return db.own(ctx, by, "member.password", `password = $2`, password)
}

// SetAlerts chooses what the caller is told of by mail.
func (db *DB) SetAlerts(ctx context.Context, by disclosure.Caller, kinds []disclosure.AlertKind) error {
	for _, k := range kinds {
		if !slices.Contains(AllAlerts, k) {
			return disclosure.Refuse("alerts", fmt.Sprintf("There is no alert called %q.", string(k)))
		}
	}
	if kinds == nil {
		kinds = []disclosure.AlertKind{}
	}
	return db.own(ctx, by, "member.alerts", `alerts = $2`, kinds)
}

// SetCertificate sets the OpenPGP certificate (binary) the caller's alerts are
// encrypted to; nil: in clear. The caller has checked that it can be used.
func (db *DB) SetCertificate(ctx context.Context, by disclosure.Caller, certificate []byte) error {
	return db.own(ctx, by, "member.certificate", `certificate = $2`, certificate)
}

// SetZone sets the caller's time zone, an IANA name.
func (db *DB) SetZone(ctx context.Context, by disclosure.Caller, zone string) error {
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		return disclosure.Refuse("zone", "Give a time zone by its IANA name, such as Europe/Berlin.")
	}
	return db.own(ctx, by, "member.zone", `zone = $2`, zone)
}

// AddSigningKey registers a member's personal certificate (binary), with which
// a releaser signs notices. Admins only: it is who may sign.
func (db *DB) AddSigningKey(ctx context.Context, by disclosure.Caller, id disclosure.MemberID, certificate []byte) error {
	return db.signingKeys(ctx, by, id, "member.signing-key-added", func(keys [][]byte) [][]byte {
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, certificate) }) {
			return keys
		}
		return append(keys, certificate)
	})
}

// RemoveSigningKey takes a certificate back.
func (db *DB) RemoveSigningKey(ctx context.Context, by disclosure.Caller, id disclosure.MemberID, certificate []byte) error {
	return db.signingKeys(ctx, by, id, "member.signing-key-removed", func(keys [][]byte) [][]byte {
		return slices.DeleteFunc(keys, func(k []byte) bool { return bytes.Equal(k, certificate) })
	})
}

func (db *DB) signingKeys(ctx context.Context, by disclosure.Caller, id disclosure.MemberID, kind string, change func([][]byte) [][]byte) error {
	return db.manage(ctx, by, id, func(t *tx) error {
		var keys [][]byte
		if err := t.QueryRow(ctx, `SELECT signing_keys FROM member WHERE id = $1`, id).Scan(&keys); err != nil {
			return fmt.Errorf("read the signing keys: %w", notFound(err))
		}
		keys = change(keys)
		if keys == nil {
			keys = [][]byte{}
		}
		if _, err := t.Exec(ctx, `UPDATE member SET signing_keys = $2 WHERE id = $1`, id, keys); err != nil {
			return fmt.Errorf("store the signing keys: %w", err)
		}
		t.note(kind, string(id), nil)
		return nil
	})
}

// prefixed puts a table's alias before each column of a list.
func prefixed(alias, columns string) string {
	list := strings.Split(columns, ",")
	for i, c := range list {
		list[i] = alias + "." + strings.TrimSpace(c)
	}
	return strings.Join(list, ", ")
}
