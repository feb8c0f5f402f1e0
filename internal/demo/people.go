package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres"
)

// team is the sample project's. Ada holds every role.
var team = []struct {
	name   string
	roles  disclosure.Roles
	alerts []disclosure.AlertKind
}{
	{"Ada", disclosure.Triager | disclosure.Releaser | disclosure.Admin | disclosure.Auditor,
		[]disclosure.AlertKind{disclosure.AlertReport, disclosure.AlertBreach, disclosure.AlertHeld, disclosure.AlertHour, disclosure.AlertAttention}},
	{"Tove", disclosure.Triager, []disclosure.AlertKind{disclosure.AlertMessage, disclosure.AlertFourFifths}},
	{"Ravi", disclosure.Releaser, []disclosure.AlertKind{disclosure.AlertHour, disclosure.AlertDelivery}},
	{"Agnes", disclosure.Admin, []disclosure.AlertKind{disclosure.AlertLocked}},
	{"Olek", disclosure.Auditor, nil},
}

// invite lets the team in by the way every member goes: a one-time link, a
// password, a second factor.
func (s *Sample) invite(ctx context.Context, db *postgres.DB) error {
	s.Members = nil
	known, err := db.Members(ctx, system)
	if err != nil {
		return err
	}
	for _, t := range team {
		login := strings.ToLower(t.name) + "@lantern.example"
		secret, hash := auth.NewToken()
		var id disclosure.MemberID
		for _, m := range known { // of a start that was interrupted just here
			if m.Login == login {
				id = m.ID
			}
		}
		until := db.Wall().Add(time.Hour)
		if id != "" {
			err = db.ResetMember(ctx, system, id, hash[:], until)
		} else {
			id, err = db.Invite(ctx, system, t.name, login, t.roles, hash[:], until)
		}
		if err != nil {
			return fmt.Errorf("invite %s: %w", t.name, err)
		}
		password := secret[:4] + "-" + secret[4:10] + "-" + secret[10:16]
		hashed, err := auth.HashPassword(password, auth.TestCost)
		if err != nil {
			return err
		}
		totp := auth.NewTOTPSecret()
		m, err := db.AcceptInvite(ctx, hash[:], hashed, []byte(totp), 1)
		if err != nil {
			return fmt.Errorf("%s joins: %w", t.name, err)
		}
		if err := db.SetAlerts(ctx, m.Caller(), t.alerts); err != nil {
			return err
		}
		s.Members = append(s.Members, Member{Name: t.name, Login: login, Password: password, TOTP: totp.Base32(),
			Roles: strings.Join(t.roles.Names(), ", "), ID: id})
	}
	return nil
}

// caller is a member who has stepped up just now.
func (s *Sample) caller(db *postgres.DB, name string) disclosure.Caller {
	c := disclosure.Caller{Member: s.Member(name).ID, Name: name, Verified: db.Wall()}
	for _, t := range team {
		if t.name == name {
			c.Roles = t.roles
		}
	}
	return c
}

// enroll puts three distributors on the private list. Their secret keys stay
// beside demo.json, so that a visitor can read their mail as they would.
func (s *Sample) enroll(ctx context.Context, db *postgres.DB) error {
	s.Distributors = nil
	ada := s.caller(db, "Ada")
	known, err := db.Distributors(ctx, ada)
	if err != nil {
		return err
	}
	for _, d := range known { // of a start that was interrupted just here
		if d.Revoked.IsZero() {
			if err := db.Revoke(ctx, ada, d.ID, "The demo's start was interrupted."); err != nil {
				return err
			}
		}
	}
	for _, d := range []struct{ name, person, address, group string }{
		{"Harbor Linux", "Harbor Linux security", "security@harbor.example", "operating systems"},
		{"Quay Packages", "Quay vendor contact", "vendor-sec@quay.example", "packagers"},
		{"Skerry Hosting", "Skerry incident desk", "incidents@skerry.example", "major users"},
	} {
		secret, _, err := pgp.NewTeam(d.person, d.address, db.Now())
		if err != nil {
			return err
		}
		cert := secret.Certificate()
		name := strings.ToLower(strings.Fields(d.name)[0]) + ".key"
		if err := s.write(name, secret.Bytes()); err != nil {
			return err
		}
		id, err := db.Enroll(ctx, ada, disclosure.Distributor{Name: d.name, Address: d.address, Group: d.group,
			Keys: []disclosure.RecipientKey{{Fingerprint: cert.Fingerprint(), Certificate: cert.Binary()}}})
		if err != nil {
			return fmt.Errorf("enroll %s: %w", d.name, err)
		}
		s.Distributors = append(s.Distributors, Distributor{Name: d.name, Address: d.address, Fingerprint: cert.Fingerprint(),
			SecretKey: "demo/" + name, ID: id})
	}
	return nil
}
