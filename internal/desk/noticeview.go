package desk

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

// noticeView gathers what a notice's page shows. The list is for those who
// may read it; its names come after a step-up.
func (d *Desk) noticeView(v *visit, r *disclosure.Release, n *disclosure.Notice) (pages.NoticeView, error) {
	now := d.c.DB.Now()
	view := pages.NoticeView{
		Desk: d.frame(v, ui.NavReleases), Release: r, Notice: n, Form: pages.NoticeDraftForm{Subject: n.Subject, Text: n.Text},
		Needed: 1, Approved: approvedBy(n, v.by), CanRelease: v.by.Can(disclosure.Releaser),
		Listed: v.by.Can(disclosure.Releaser) || v.by.Can(disclosure.Admin),
	}
	if !n.SendAt.IsZero() {
		view.Form.SendAt = n.SendAt.UTC().Format(hourForm)
	}
	view.Outdated = r.Outdated(n)
	if n.Audience == disclosure.ToReporters && open(n) {
		view.Untold = r.Untold()
	}
	var facts disclosure.Facts
	if view.Listed {
		list, err := d.c.DB.Recipients(v.Context(), v.by, n.ID)
		if err != nil {
			return view, err
		}
		view.Count, view.List = len(list), postgres.ListDigest(list)
		view.Named = v.by.SteppedUp(d.c.DB.Wall()) || !n.Audience.Private()
		facts = factsOf(list, view.Named, now)
		if view.Named {
			view.Recipients = recipientRows(list, now)
		}
		if view.Ledger, err = d.ledger(v, n); err != nil {
			return view, err
		}
		if n.State == disclosure.NoticeSending {
			view.Refresh = pages.NoticeForm(r.ID, n.ID, pages.NoticeLedger)
		}
	}
	if open(n) {
		view.Problems = problems(r, r.Missing(disclosure.ToFreeze, n.Audience, facts, now), "sending")
	}
	if n.State == disclosure.NoticeFrozen && n.Signer == disclosure.SignedByReleaser {
		view.Sign = signView(n, v.session.Member)
	}
	return view, nil
}

// open reports whether the notice may still be sent.
func open(n *disclosure.Notice) bool { return n.Open() }

func approvedBy(n *disclosure.Notice, by disclosure.Caller) bool {
	return slices.ContainsFunc(n.Approvals, func(a disclosure.Approval) bool {
		return a.Member == by.Member && a.Digest == n.Digest && a.Generation == n.Generation
	})
}

// signView is the line a releaser pastes to sign the frozen bytes.
func signView(n *disclosure.Notice, m postgres.Member) *pages.SignView {
	s := &pages.SignView{File: rawName(n, n.Frozen), Signed: len(n.Signature) > 0}
	as := ""
	if certs := certificates(m.SigningKeys); len(certs) > 0 {
		as = " --local-user " + certs[0].Fingerprint()
	}
	s.Command = "gpg --armor --detach-sign --digest-algo SHA512" + as + " --output " + s.File + ".asc " + s.File
	return s
}

// rawName names a notice's bytes by what they are and their digest.
func rawName(n *disclosure.Notice, b []byte) string {
	sum := sha256.Sum256(b)
	return fmt.Sprintf("notice-%s-%s.eml", n.Audience, hex.EncodeToString(sum[:6]))
}

func previewOf(f ui.Desk, r *disclosure.Release, n *disclosure.Notice, b []byte) pages.PreviewView {
	view := pages.PreviewView{Desk: f, Release: r, Notice: n, Size: int64(len(b))}
	view.Current = ui.NavReleases
	view.Bytes, view.Cut, view.Digest = shownBytes(b)
	if n.Audience == disclosure.ToDistributors {
		view.Patches = r.Brief(n.Audience).Patches
	}
	return view
}

// shownBytes is what a page shows of them, and the digest of the whole.
func shownBytes(b []byte) (text string, cut bool, digest string) {
	sum := sha256.Sum256(b)
	if cut = len(b) > maxShown; cut {
		b = b[:maxShown]
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n"), cut, hex.EncodeToString(sum[:])
}

func (d *Desk) sendView(v *visit, r *disclosure.Release, n *disclosure.Notice) (pages.SendView, error) {
	now := d.c.DB.Now()
	view := pages.SendView{Desk: d.frame(v, ui.NavReleases), Release: r, Notice: n, Name: r.Title, Size: int64(len(n.Frozen))}
	list, err := d.c.DB.Recipients(v.Context(), v.by, n.ID)
	if err != nil {
		return view, err
	}
	facts := factsOf(list, v.by.SteppedUp(d.c.DB.Wall()) || !n.Audience.Private(), now)
	view.Count = len(list)
	for _, rec := range list {
		if rec.ClearText && len(rec.Keys) == 0 {
			view.ClearCount++
		}
	}
	view.Bytes, view.Cut, view.Digest = shownBytes(n.Frozen)
	view.Problems = problems(r, r.Missing(disclosure.ToSend, n.Audience, facts, now), "sending")
	if n.State != disclosure.NoticeApproved || n.Approved() == nil {
		view.Problems = append(view.Problems, pages.Missing{Text: fmt.Sprintf("The notice is %s. A releaser has to approve bytes and list first.", n.State),
			Href: pages.NoticePath(r.ID, n.ID), Link: "Open the notice", Blocks: "sending"})
	}
	if v.by.SteppedUp(d.c.DB.Wall()) {
		view.Named, view.Recipients = true, recipientRows(list, now)
	} else {
		view.StepUp, view.DemoCode = pages.NoticeForm(r.ID, n.ID, pages.NoticeSend), d.demoCode(v)
	}
	return view, nil
}

// factsOf are a preflight's; without names they say "Distributor 3 of the list".
func factsOf(list []disclosure.Recipient, named bool, now time.Time) disclosure.Facts {
	if !named {
		list = slices.Clone(list)
		for i := range list {
			list[i].Name = fmt.Sprintf("Distributor %d of the list", i+1)
			list[i].Address = ""
		}
	}
	return disclosure.Facts{Recipients: list, Unusable: unusable(list, now)}
}

// unusable names each key that cannot be encrypted to now.
func unusable(list []disclosure.Recipient, now time.Time) []disclosure.Fault {
	var faults []disclosure.Fault
	for _, r := range list {
		if problem := recipientProblem(r, now); problem != "" {
			field := ""
			if r.Distributor != "" {
				field = "distributors/" + string(r.Distributor)
			}
			faults = append(faults, disclosure.Fault{Field: field, Text: r.Name + ": " + problem})
		}
	}
	return faults
}

func recipientProblem(r disclosure.Recipient, now time.Time) string {
	var all []string
	for _, k := range r.Keys {
		if problem := keyProblem(k, now); problem != "" {
			all = append(all, problem)
		}
	}
	return strings.Join(all, " ")
}

// keyProblem says why a certificate cannot be encrypted to; empty: it can.
func keyProblem(binary []byte, now time.Time) string {
	certs, err := pgp.ParseCertificates(binary)
	if err != nil {
		return sentence(err)
	}
	for _, c := range certs {
		if err := c.CanEncrypt(now); err != nil {
			return sentence(err)
		}
	}
	return ""
}

func recipientRows(list []disclosure.Recipient, now time.Time) []pages.RecipientRow {
	rows := make([]pages.RecipientRow, len(list))
	for i, r := range list {
		rows[i] = pages.RecipientRow{Name: r.Name, Address: r.Address, Problem: recipientProblem(r, now),
			Clear: r.ClearText && len(r.Keys) == 0 && (r.Distributor != "" || r.Reporter != "")}
		for _, c := range certificates(r.Keys) {
			rows[i].Prints = append(rows[i].Prints, c.Fingerprint())
		}
	}
	return rows
}

// certificates leaves out what cannot be read.
func certificates(keys [][]byte) []*pgp.Certificate {
	var list []*pgp.Certificate
	for _, k := range keys {
		if certs, err := pgp.ParseCertificates(k); err == nil {
			list = append(list, certs...)
		}
	}
	return list
}

// sender is the From of a notice: a user id of the certificate that will sign
// it, ours where it has one.
func (d *Desk) sender(v *visit, r *disclosure.Release, n *disclosure.Notice) (string, error) {
	ours, now := cmp.Or(r.Policy.Contact.Address, d.c.From), d.c.DB.Now()
	var certs []*pgp.Certificate
	switch n.Signer {
	case disclosure.SignedByReleaser:
		if certs = certificates(v.session.Member.SigningKeys); len(certs) == 0 {
			return "", disclosure.Refuse("", "This notice is signed by a releaser's own key, and you have none registered. Ask an admin to register it.")
		}
	case disclosure.SignedByTeam:
		keys, err := d.c.DB.PublicKeys(v.Context())
		if err != nil {
			return "", err
		}
		for _, k := range keys {
			if k.Kind == "team" && k.Retired.IsZero() {
				certs = append(certs, certificates([][]byte{k.Public})...)
			}
		}
		if len(certs) == 0 {
			return "", disclosure.Refuse("", "The team has no signing key. Make one with postern key new.")
		}
	default:
		return ours, nil
	}
	if err := certs[0].CanSign(now); err != nil {
		return "", disclosure.Refuse("", sentence(err))
	}
	return fromUserID(certs[0], ours)
}

func fromUserID(c *pgp.Certificate, ours string) (string, error) {
	found := ""
	for _, id := range c.UserIDs() {
		a, err := mail.ParseAddress(id)
		if err != nil {
			continue
		}
		if strings.EqualFold(a.Addr, ours) {
			return id, nil
		}
		found = cmp.Or(found, id)
	}
	if found == "" {
		return "", disclosure.Refuse("", "The signing key has no user id with a mail address.")
	}
	return found, nil
}

// releasers are the certificates that may sign a notice.
func (d *Desk) releasers(v *visit) ([]*pgp.Certificate, error) {
	members, err := d.c.DB.Members(v.Context(), v.by)
	if err != nil {
		return nil, err
	}
	var list []*pgp.Certificate
	for _, m := range members {
		if m.Disabled.IsZero() && m.Roles.Has(disclosure.Releaser) {
			list = append(list, certificates(m.SigningKeys)...)
		}
	}
	return list, nil
}

func fromOf(frozen []byte) string {
	a, err := mail.ParseAddress(mail.ReadHeader(frozen).From)
	if err != nil {
		return ""
	}
	return a.Addr
}

func hasAddress(c *pgp.Certificate, address string) bool {
	return slices.ContainsFunc(c.Addresses(), func(a string) bool { return strings.EqualFold(a, address) })
}

// frozen makes the bytes that are signed: the same for every recipient, and
// the same each time they are made from the same release.
func (d *Desk) frozen(r *disclosure.Release, n *disclosure.Notice, from string, patch func(disclosure.FileID) ([]byte, error)) ([]byte, error) {
	m := mail.FrozenMessage{From: from, Subject: n.Subject, Text: n.Text, Public: !n.Audience.Private()}
	if n.Audience == disclosure.ToDistributors && n.Change != disclosure.ChangeCalledOff {
		for i, p := range r.PatchBriefs() { // in the order of r.Patches, under the names the text gives them
			b, err := patch(r.Patches[i].File.ID)
			if err != nil {
				return nil, err
			}
			m.Attachments = append(m.Attachments, mail.Part{Name: p.Name, Type: "text/x-patch", Bytes: b, Description: strings.TrimSpace("Patch " + forWhat(p.Series))})
		}
		var err error
		if m.Notice, err = letters.NoticeJSON(r.Brief(n.Audience)); err != nil {
			return nil, err
		}
	}
	b, err := mail.Freeze(m)
	if err != nil {
		return nil, disclosure.Refuse(pages.FieldText, "The notice cannot be written: "+err.Error()+".")
	}
	return b, nil
}
