package demo

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
)

// gather makes a release of cases.
func (p *player) gather(ctx context.Context, name, title string, cases ...string) error {
	ids := make([]disclosure.CaseID, len(cases))
	for i, c := range cases {
		ids[i] = p.Sample.Case(c)
	}
	id, err := p.DB.CreateRelease(ctx, p.by("Ada"), title, ids)
	if err != nil {
		return err
	}
	p.Sample.remember("release "+name, string(id))
	return nil
}

func (p *player) update(ctx context.Context, name string, f func(r *disclosure.Release, by disclosure.Caller, now time.Time) error) error {
	by := p.by("Ada")
	return p.DB.UpdateRelease(ctx, by, p.Sample.Release(name), func(r *disclosure.Release) error { return f(r, by, p.DB.Now()) })
}

// hour is 15:00 UTC on a day of the story.
func (p *player) hour(day int) time.Time {
	d := p.Sample.Began.UTC().AddDate(0, 0, day)
	return time.Date(d.Year(), d.Month(), d.Day(), 15, 0, 0, 0, time.UTC)
}

// plan sets versions, patches and the hour, and drafts the notices.
func (p *player) plan(ctx context.Context, name string, day int, versions map[string]string, patches ...patch) error {
	for _, x := range patches {
		_, err := p.DB.AddPatch(ctx, p.by("Ada"), p.Sample.Release(name),
			disclosure.Patch{Series: x.series, Name: x.name, Case: p.Sample.Case(x.of)}, bytes.NewReader([]byte(x.text)))
		if err != nil {
			return fmt.Errorf("add %s: %w", x.name, err)
		}
	}
	return p.update(ctx, name, func(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
		for _, series := range []string{"5.1", "4.2"} {
			if err := r.SetVersion(series, versions[series], by, now); err != nil {
				return err
			}
			if versions[series] == "" {
				continue
			}
			if err := r.AddArtefact(series, disclosure.Artefact{Kind: "source",
				URL: "https://lantern.example/releases/lantern-" + versions[series] + ".tar.gz"}, by, now); err != nil {
				return err
			}
		}
		if err := r.SetNoPatch("main", "The branch gets the patch for 5.1 on the day.", by, now); err != nil {
			return err
		}
		if err := r.Plan(p.hour(day), "UTC", "", by, now); err != nil {
			return err
		}
		if err := r.DraftNotices(by, now); err != nil {
			return err
		}
		return p.write(r, by, now)
	})
}

// write gives every notice without a text the one letters drafts from what its
// audience may know.
func (p *player) write(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
	for _, n := range r.Notices {
		if n.State != disclosure.NoticeDraft || n.Text != "" {
			continue
		}
		b := r.Brief(n.Audience)
		b.URL = p.Gate
		l, err := p.Letters.Notice(b.Project.Language, b)
		if err != nil {
			return err
		}
		if err := r.DraftText(n.ID, l.Subject, l.Text, by, now); err != nil {
			return err
		}
	}
	return nil
}

// notice finds the release's notice to an audience that has not left.
func (p *player) notice(ctx context.Context, name string, a disclosure.Audience) (*disclosure.Notice, error) {
	r, err := p.DB.Release(ctx, p.by("Ada"), p.Sample.Release(name))
	if err != nil {
		return nil, err
	}
	for _, n := range r.Notices {
		if n.Audience == a && n.State != disclosure.NoticeCanceled && n.State != disclosure.NoticeSent {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the release has no notice to %s to send", a.Words())
}

// approve freezes a notice and approves it.
func (p *player) approve(ctx context.Context, name string, a disclosure.Audience) (disclosure.NoticeID, error) {
	n, err := p.notice(ctx, name, a)
	if err != nil {
		return "", err
	}
	by := p.by("Ada")
	if err := p.DB.FreezeNotice(ctx, by, n.ID, p.freeze); err != nil {
		return "", fmt.Errorf("freeze the notice to %s: %w", a.Words(), err)
	}
	if n, err = p.notice(ctx, name, a); err != nil {
		return "", err
	}
	list, err := p.DB.Recipients(ctx, by, n.ID)
	if err != nil {
		return "", err
	}
	if err := p.DB.ApproveNotice(ctx, by, n.ID, n.Digest, postgres.ListDigest(list)); err != nil {
		return "", fmt.Errorf("approve the notice to %s: %w", a.Words(), err)
	}
	return n.ID, nil
}

// freeze makes the bytes that are signed: text, patches and, for who is told
// ahead in private, the same for machines.
func (p *player) freeze(w postgres.NoticeWork) ([]byte, []disclosure.Fault, error) {
	m := mail.FrozenMessage{From: w.Release.Policy.Contact.Address, Subject: w.Notice.Subject, Text: w.Notice.Text}
	if w.Notice.Audience == disclosure.ToDistributors {
		for _, x := range w.Release.Patches {
			b, err := w.Patch(x.File.ID)
			if err != nil {
				return nil, nil, err
			}
			m.Attachments = append(m.Attachments, mail.Part{Name: x.Name, Type: "text/x-patch", Bytes: b})
		}
		b := w.Release.Brief(w.Notice.Audience)
		b.URL = p.Gate
		var err error
		if m.Notice, err = letters.NoticeJSON(b); err != nil {
			return nil, nil, err
		}
	}
	frozen, err := mail.Freeze(m)
	if err != nil {
		return nil, nil, err
	}
	var unusable []disclosure.Fault
	for _, r := range w.Recipients {
		for _, k := range r.Keys {
			certs, err := pgp.ParseCertificates(k)
			if err == nil && len(certs) > 0 {
				err = certs[0].CanEncrypt(p.DB.Now())
			}
			if err != nil {
				unusable = append(unusable, disclosure.Fault{Field: "distributors/" + string(r.Distributor), Text: err.Error()})
			}
		}
	}
	return frozen, unusable, nil
}

// send brings a notice to its readers.
func (p *player) send(ctx context.Context, name string, a disclosure.Audience) error {
	id, err := p.approve(ctx, name, a)
	if err != nil {
		return err
	}
	if err := p.DB.StartSending(ctx, p.by("Ada"), id, nil); err != nil {
		return fmt.Errorf("send the notice to %s: %w", a.Words(), err)
	}
	return p.settle(ctx)
}

// tell sends all that goes out ahead of the day.
func (p *player) tell(ctx context.Context, name string) error {
	for _, a := range []disclosure.Audience{disclosure.ToAnnounceAhead, disclosure.ToDistributors, disclosure.ToReporters} {
		if err := p.send(ctx, name, a); err != nil {
			return err
		}
	}
	return nil
}

// answer lets some of the distributors answer their notice.
func (p *player) answer(ctx context.Context, name string, who ...string) error {
	r, err := p.DB.Release(ctx, p.by("Ada"), p.Sample.Release(name))
	if err != nil {
		return err
	}
	for _, n := range r.Notices {
		if n.Audience != disclosure.ToDistributors || n.State != disclosure.NoticeSent {
			continue
		}
		ledger, err := p.DB.Ledger(ctx, p.by("Ada"), n.ID)
		if err != nil {
			return err
		}
		for _, d := range ledger {
			for _, name := range who {
				if d.Recipient.Name == name {
					if err := p.DB.Answered(ctx, d.ID); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// publish approves what leaves with publishing, and publishes.
func (p *player) publish(ctx context.Context, name string) error {
	for _, a := range []disclosure.Audience{disclosure.ToAnnounce, disclosure.ToOSS} {
		if _, err := p.approve(ctx, name, a); err != nil {
			return err
		}
	}
	render, err := p.Work.Renderer(ctx)
	if err != nil {
		return err
	}
	by := p.by("Ada")
	err = p.DB.Publish(ctx, by, p.Sample.Release(name), func(r *disclosure.Release) error {
		return r.Publish(r.Title, by, p.DB.Now(), p.DB.Wall())
	}, render.Render)
	if err != nil {
		return err
	}
	return p.settle(ctx)
}
