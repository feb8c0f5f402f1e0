package desk

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) accountRoutes() {
	d.page(pages.PathAccount, 0, d.account)
	d.form(pages.AccountForm("zone"), 0, 0, d.setZone)
	d.form(pages.AccountForm("key"), 0, 0, d.setKey)
	d.form(pages.AccountForm("alerts"), 0, 0, d.setAlerts)
	d.form(pages.AccountForm("password"), 0, 0, d.setPassword)
	d.form(pages.AccountForm("end-session"), 0, 0, d.endSession)
}

func (d *Desk) account(v *visit) error {
	view, err := d.accountView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Account(view))
}

func (d *Desk) accountView(v *visit) (pages.AccountView, error) {
	m := v.session.Member
	view := pages.AccountView{Desk: d.frame(v, ui.NavAccount), Name: m.Name, Address: m.Address, Zone: m.Zone, Zones: zones,
		Key: fingerprintOf(m.Certificate), Alerts: alertChoices(m.Alerts)}
	sessions, err := d.c.DB.Sessions(v.Context(), v.by)
	for _, s := range sessions {
		view.Sessions = append(view.Sessions, sessionRow(s, v.session.Hash))
	}
	return view, err
}

// zones are offered beside the field; every IANA name is taken.
var zones = []string{"UTC", "Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Stockholm", "Europe/Vienna", "Europe/Warsaw",
	"America/Chicago", "America/Los_Angeles", "America/New_York", "America/Sao_Paulo", "Africa/Johannesburg", "Asia/Kolkata", "Asia/Shanghai",
	"Asia/Singapore", "Asia/Tokyo", "Australia/Perth", "Australia/Sydney", "Pacific/Auckland"}

// alertWords are the kinds a member may want, in the order of the page.
var alertWords = []struct {
	kind  disclosure.AlertKind
	words string
}{
	{disclosure.AlertReport, "a new report"},
	{disclosure.AlertMessage, "a new message in a case"},
	{disclosure.AlertHalf, "half of a promise's time is over"},
	{disclosure.AlertFourFifths, "four fifths of a promise's time are over"},
	{disclosure.AlertBreach, "a promise was broken"},
	{disclosure.AlertDelivery, "a delivery needs somebody"},
	{disclosure.AlertHour, "the hour of a release has come"},
	{disclosure.AlertAttention, "a case needs attention"},
	{disclosure.AlertApplication, "somebody asks to be told in advance (admins)"},
	{disclosure.AlertHeld, "the instance is held"},
	{disclosure.AlertLocked, "reports wait at a locked vault"},
}

func alertChoices(wanted []disclosure.AlertKind) []pages.AlertChoice {
	var list []pages.AlertChoice
	for _, a := range alertWords {
		list = append(list, pages.AlertChoice{Kind: a.kind, Label: a.words, Wanted: slices.Contains(wanted, a.kind)})
	}
	return list
}

func sessionRow(s postgres.Session, current []byte) pages.SessionRow {
	return pages.SessionRow{ID: hex.EncodeToString(s.Hash), Since: s.Created, Seen: s.Seen, Agent: s.Agent, Current: string(s.Hash) == string(current)}
}

func (d *Desk) accountAgain(v *visit, err error, keep func(*pages.AccountView)) error {
	list, err := refused(err)
	if err != nil {
		return err
	}
	view, err := d.accountView(v)
	if err != nil {
		return err
	}
	view.Faults = list
	keep(&view)
	return v.again(pages.Account(view))
}

func (d *Desk) setZone(v *visit) error {
	zone := strings.TrimSpace(v.PostFormValue(pages.FieldZone))
	if err := d.c.DB.SetZone(v.Context(), v.by, zone); err != nil {
		return d.accountAgain(v, err, func(view *pages.AccountView) { view.Zone = zone })
	}
	return v.flash(pages.PathAccount, "saved")
}

// setKey sets the certificate alerts are encrypted to; an empty field removes it.
func (d *Desk) setKey(v *visit) error {
	text := strings.TrimSpace(v.PostFormValue(pages.FieldKey))
	var certificate []byte
	var err error
	if text != "" {
		certificate, err = oneKey(text, d.c.DB.Now())
	}
	if err == nil {
		err = d.c.DB.SetCertificate(v.Context(), v.by, certificate)
	}
	if err != nil {
		return d.accountAgain(v, err, func(view *pages.AccountView) { view.KeyText = keyAgain(text) })
	}
	return v.flash(pages.PathAccount, "saved")
}

// keyAgain is a pasted key as a form shows it again: a private key is not.
func keyAgain(text string) string {
	if pgp.Inspect([]byte(text)).Shape == pgp.ShapePrivateKey || strings.Contains(strings.ToUpper(text), "PRIVATE KEY") || strings.Contains(strings.ToUpper(text), "SECRET KEY") {
		return ""
	}
	return text
}

func oneKey(text string, now time.Time) ([]byte, error) {
	certs, err := pgp.ParseCertificates([]byte(text))
	if err != nil {
		return nil, disclosure.Refuse(pages.FieldKey, sentence(err))
	}
	if len(certs) != 1 {
		return nil, disclosure.Refuse(pages.FieldKey, "Give one key; here are "+strconv.Itoa(len(certs))+".")
	}
	if err := certs[0].CanEncrypt(now); err != nil {
		return nil, disclosure.Refuse(pages.FieldKey, sentence(err))
	}
	return certs[0].Binary(), nil
}

func (d *Desk) setAlerts(v *visit) error {
	if err := v.ParseForm(); err != nil {
		return err
	}
	var kinds []disclosure.AlertKind
	for _, a := range alertWords {
		if slices.Contains(v.PostForm[pages.FieldAlert], string(a.kind)) {
			kinds = append(kinds, a.kind)
		}
	}
	if err := d.c.DB.SetAlerts(v.Context(), v.by, kinds); err != nil {
		return err
	}
	return v.flash(pages.PathAccount, "saved")
}

// setPassword asks for the one there is: a browser left alone is not enough.
// The member's other sessions end.
func (d *Desk) setPassword(v *visit) error {
	phc, err := d.newPassword(v)
	if err == nil {
		err = d.c.DB.SetPassword(v.Context(), v.by, phc)
	}
	if err != nil {
		return d.accountAgain(v, err, func(*pages.AccountView) {})
	}
	sessions, err := d.c.DB.Sessions(v.Context(), v.by)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if string(s.Hash) == string(v.session.Hash) {
			continue
		}
		if err := d.c.DB.EndOwnSession(v.Context(), v.by, s.Hash); err != nil {
			return err
		}
	}
	return v.flash(pages.PathAccount, "saved")
}

func (d *Desk) newPassword(v *visit) (string, error) {
	key := sha256.Sum256([]byte("password " + string(v.by.Member)))
	wait, err := d.c.DB.Attempt(v.Context(), key[:])
	if err != nil {
		return "", err
	}
	if wait > 0 {
		return "", disclosure.Refuse(pages.FieldPassNow, "Too many tries. Wait "+wait.Round(time.Second).String()+" and try again.")
	}
	in, err := d.c.DB.SignInOf(v.Context(), v.by.Member)
	if err != nil {
		return "", err
	}
	var refusal *disclosure.Refusal
	password := v.PostFormValue(pages.FieldPassword)
	if auth.CheckPassword(in.Password, v.PostFormValue(pages.FieldPassNow)) != nil {
		refusal = refusal.Add(pages.FieldPassNow, "This is not your password.")
	} else if err := d.c.DB.AttemptSucceeded(v.Context(), key[:]); err != nil {
		return "", err
	}
	if err := auth.AcceptPassword(password, in.Member.Name, in.Member.Login); err != nil {
		refusal = refusal.Add(pages.FieldPassword, sentence(err))
	} else if password != v.PostFormValue(pages.FieldAgain) {
		refusal = refusal.Add(pages.FieldAgain, "The two passwords differ. Type the same one twice.")
	}
	if err := refusal.Err(); err != nil {
		return "", err
	}
	return auth.HashPassword(password, d.c.PasswordCost)
}

func (d *Desk) endSession(v *visit) error {
	hash, err := hex.DecodeString(v.PostFormValue(pages.FieldSession))
	if err != nil {
		return disclosure.ErrNotFound
	}
	if err := d.c.DB.EndOwnSession(v.Context(), v.by, hash); err != nil {
		return err
	}
	return v.flash(pages.PathAccount, "removed")
}
