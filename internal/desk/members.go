package desk

import (
	"context"
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

// inviteLasts is how long a one-time link can be used, wall time.
const inviteLasts = 72 * time.Hour

func (d *Desk) memberRoutes() {
	at := pages.PathMembers + "/{member}/"
	d.page(pages.PathMembers, team, d.members)
	d.form(pages.PathMembers+"/invite", disclosure.Admin, 0, d.stepUp(d.inviteMember))
	d.form(at+"roles", disclosure.Admin, 0, d.stepUp(d.setRoles))
	d.form(at+"reset", disclosure.Admin, 0, d.stepUp(d.resetMember))
	d.form(at+"disable", disclosure.Admin, 0, d.stepUp(d.memberStep((*postgres.DB).Disable)))
	d.form(at+"enable", disclosure.Admin, 0, d.stepUp(d.memberStep((*postgres.DB).Enable)))
	d.form(at+"add-key", disclosure.Admin, 0, d.stepUp(d.addSigningKey))
	d.form(at+"remove-key", disclosure.Admin, 0, d.stepUp(d.removeSigningKey))
}

func (d *Desk) members(v *visit) error {
	view, err := d.membersView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Members(view))
}

func (d *Desk) membersView(v *visit) (pages.MembersView, error) {
	view := pages.MembersView{Desk: d.frame(v, ui.NavMembers), CanAdmin: v.by.Can(disclosure.Admin), Form: pages.InviteForm{Roles: disclosure.Triager}}
	list, err := d.c.DB.Members(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	if view.Recipient, err = d.recipientView(v); err != nil {
		return view, err
	}
	seen, err := d.c.DB.LastSeen(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	for _, m := range list {
		view.Rows = append(view.Rows, memberRow(m, seen[m.ID], v.by))
	}
	return view, nil
}

func memberRow(m postgres.Member, seen time.Time, by disclosure.Caller) pages.MemberRow {
	row := pages.MemberRow{ID: m.ID, Name: m.Name, Address: m.Address, Roles: m.Roles, Disabled: !m.Disabled.IsZero(), Invited: !m.Joined,
		LastSeen: seen, Key: fingerprintOf(m.Certificate), You: m.ID == by.Member}
	for _, c := range certificates(m.SigningKeys) {
		row.Signing = append(row.Signing, c.Fingerprint())
	}
	return row
}

// fingerprintOf is empty when there is no certificate, or none that can be read.
func fingerprintOf(certificate []byte) string {
	if len(certificate) == 0 {
		return ""
	}
	for _, c := range certificates([][]byte{certificate}) {
		return c.Fingerprint()
	}
	return ""
}

// membersAgain shows the list with what is wrong.
func (d *Desk) membersAgain(v *visit, err error, keep func(*pages.MembersView)) error {
	list, err := refused(err, "login", pages.FieldAddress, "roles", pages.FieldRole)
	if err != nil {
		return err
	}
	view, err := d.membersView(v)
	if err != nil {
		return err
	}
	view.Faults = list
	keep(&view)
	return v.again(pages.Members(view))
}

func typedRoles(v *visit) (disclosure.Roles, error) {
	if err := v.ParseForm(); err != nil {
		return 0, err
	}
	roles, err := disclosure.ParseRoles(v.PostForm[pages.FieldRole])
	if err != nil {
		return roles, disclosure.Refuse(pages.FieldRole, sentence(err))
	}
	return roles, nil
}

// inviteMember shows the one-time link once, on the answer itself: it is kept nowhere.
func (d *Desk) inviteMember(v *visit) error {
	roles, err := typedRoles(v)
	name, address := strings.TrimSpace(v.PostFormValue(pages.FieldName)), strings.TrimSpace(v.PostFormValue(pages.FieldAddress))
	token, hash := auth.NewToken()
	until := d.c.DB.Wall().Add(inviteLasts)
	if err == nil {
		_, err = d.c.DB.Invite(v.Context(), v.by, name, address, roles, hash[:], until)
	}
	if err != nil {
		return d.membersAgain(v, err, func(view *pages.MembersView) {
			view.Form = pages.InviteForm{Name: name, Address: address, Roles: roles}
		})
	}
	return d.showLink(v, name, token, until)
}

func (d *Desk) showLink(v *visit, name, token string, until time.Time) error {
	view, err := d.membersView(v)
	if err != nil {
		return err
	}
	view.Link, view.LinkFor, view.LinkEnds = d.c.URL+pages.PathInvite+"/"+token, name, until
	return v.render(pages.Members(view))
}

func (d *Desk) theMember(v *visit) (postgres.Member, error) {
	return d.c.DB.Member(v.Context(), v.by, disclosure.MemberID(v.PathValue("member")))
}

func (d *Desk) setRoles(v *visit) error {
	m, err := d.theMember(v)
	if err != nil {
		return err
	}
	roles, err := typedRoles(v)
	if err == nil {
		err = d.c.DB.SetRoles(v.Context(), v.by, m.ID, roles)
	}
	if err != nil {
		return d.membersAgain(v, err, func(view *pages.MembersView) {
			for i := range view.Rows {
				if view.Rows[i].ID == m.ID {
					view.Rows[i].Roles = roles
				}
			}
		})
	}
	return v.flash(pages.PathMembers, "saved")
}

// resetMember takes password and second factor away, and shows a new link once.
func (d *Desk) resetMember(v *visit) error {
	m, err := d.theMember(v)
	if err != nil {
		return err
	}
	token, hash := auth.NewToken()
	until := d.c.DB.Wall().Add(inviteLasts)
	if err := d.c.DB.ResetMember(v.Context(), v.by, m.ID, hash[:], until); err != nil {
		return d.membersAgain(v, err, func(*pages.MembersView) {})
	}
	if m.ID == v.by.Member {
		// Their own session has ended with it; the link is all they have.
		d.setSession(v.w, "", -1)
		return v.see(pages.PathInvite + "/" + token)
	}
	return d.showLink(v, m.Name, token, until)
}

func (d *Desk) addSigningKey(v *visit) error {
	m, err := d.theMember(v)
	if err != nil {
		return err
	}
	certs, err := pgp.ParseCertificates([]byte(v.PostFormValue(pages.FieldKey)))
	switch {
	case err != nil:
		err = disclosure.Refuse(pages.FieldKey, sentence(err))
	case len(certs) != 1:
		err = disclosure.Refuse(pages.FieldKey, "Give one key at a time; here are "+strconv.Itoa(len(certs))+".")
	default:
		if wrong := certs[0].CanSign(d.c.DB.Now()); wrong != nil {
			err = disclosure.Refuse(pages.FieldKey, sentence(wrong))
		} else if _, err = fromUserID(certs[0], ""); err == nil {
			err = d.c.DB.AddSigningKey(v.Context(), v.by, m.ID, certs[0].Binary())
		}
	}
	if err != nil {
		return d.membersAgain(v, err, func(view *pages.MembersView) {
			for i := range view.Faults {
				if view.Faults[i].Field == pages.FieldKey {
					view.Faults[i].Field = pages.ID(string(m.ID), pages.FieldKey)
				}
			}
		})
	}
	return v.flash(pages.PathMembers, "saved")
}

func (d *Desk) removeSigningKey(v *visit) error {
	m, err := d.theMember(v)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(m.SigningKeys, func(k []byte) bool { return fingerprintOf(k) == v.PostFormValue(pages.FieldFingerprint) })
	if i < 0 {
		return disclosure.ErrNotFound
	}
	if err := d.c.DB.RemoveSigningKey(v.Context(), v.by, m.ID, m.SigningKeys[i]); err != nil {
		return err
	}
	return v.flash(pages.PathMembers, "removed")
}

// memberStep is a button of a member's row.
func (d *Desk) memberStep(step func(*postgres.DB, context.Context, disclosure.Caller, disclosure.MemberID) error) handler {
	return func(v *visit) error {
		if err := step(d.c.DB, v.Context(), v.by, disclosure.MemberID(v.PathValue("member"))); err != nil {
			return d.membersAgain(v, err, func(*pages.MembersView) {})
		}
		return v.flash(pages.PathMembers, "saved")
	}
}
