package desk

import (
	"errors"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) intakeRoutes() {
	d.form(pages.PathPause, disclosure.Admin, 0, d.pauseIntake)
	d.form(pages.PathRecipient, disclosure.Triager|disclosure.Admin, 0, d.setRecipient)
}

// pauseIntake shuts or opens form and API, and says so in public at once.
func (d *Desk) pauseIntake(v *visit) error {
	notice := strings.TrimSpace(v.PostFormValue(pages.FieldNotice))
	done := "paused"
	if v.PostFormValue(pages.FieldDo) == "resume" {
		notice, done = "", "resumed"
	} else if notice == "" {
		return d.policyAgain(v, disclosure.Refuse(pages.FieldNotice, "Write what the public reads meanwhile."))
	}
	err := d.c.DB.PauseIntake(v.Context(), v.by, notice)
	if err == nil {
		err = d.c.DB.PublishSite(v.Context(), v.by, d.c.Renderer(d.c.DB.Now()).Render)
	}
	if errors.Is(err, disclosure.ErrHeld) {
		return v.flash(pages.PathPolicy, "applied-held")
	}
	if err != nil {
		return d.policyAgain(v, err)
	}
	d.c.Wake()
	return v.flash(pages.PathPolicy, done)
}

func (d *Desk) policyAgain(v *visit, err error) error {
	list, err := refused(err, "paused", pages.FieldNotice)
	if err != nil {
		return err
	}
	view, err := d.policyView(v)
	if err != nil {
		return err
	}
	view.Faults = list
	return v.again(pages.Policy(view))
}

// setRecipient names the one person whom new reports go to, and who stands in.
func (d *Desk) setRecipient(v *visit) error {
	r := postgres.Recipient{Member: disclosure.MemberID(v.PostFormValue(pages.FieldRecipient)), Delegate: disclosure.MemberID(v.PostFormValue(pages.FieldDelegate))}
	var err error
	for _, x := range []struct {
		field string
		to    *time.Time
	}{{pages.FieldAwayFrom, &r.From}, {pages.FieldAwayUntil, &r.Until}} {
		text := v.PostFormValue(x.field)
		if text == "" {
			continue
		}
		at, wrong := hour(text, v.zone.String())
		if wrong != nil {
			err = disclosure.Refuse(x.field, "Write date and hour like 2026-02-03T15:00.")
		}
		*x.to = at
	}
	if err == nil {
		err = d.c.DB.SetIntakeRecipient(v.Context(), v.by, r)
	}
	if err != nil {
		return d.membersAgain(v, err, func(*pages.MembersView) {})
	}
	return v.flash(pages.PathMembers, "saved")
}

// recipientView is the form for it; nil where the policy tells everybody.
func (d *Desk) recipientView(v *visit) (*pages.RecipientView, error) {
	p, err := d.c.DB.CurrentPolicy(v.Context())
	if errors.Is(err, disclosure.ErrNotFound) || err == nil && p.Intake.Recipients != "person" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := d.c.DB.IntakeRecipient(v.Context())
	if err != nil {
		return nil, err
	}
	options, err := d.memberOptions(v)
	if err != nil {
		return nil, err
	}
	view := &pages.RecipientView{Member: string(r.Member), Delegate: string(r.Delegate), Members: options,
		CanSet: v.by.Can(disclosure.Admin) || r.Member != "" && r.Member == v.by.Member}
	if !r.From.IsZero() {
		view.From, view.Until = r.From.In(v.zone).Format(hourForm), r.Until.In(v.zone).Format(hourForm)
	}
	for _, o := range append([]ui.Option{}, options...) {
		if o.Value == string(r.At(d.c.DB.Now())) {
			view.Now = o.Label
		}
	}
	return view, nil
}
