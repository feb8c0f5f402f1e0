package desk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/server"
	pages "postern/web/desk"
)

func (d *Desk) noticeRoutes() {
	at := pages.PathReleases + "/{release}/notices/{notice}"
	may := disclosure.Releaser
	d.page(at, team, d.noticeRead)
	d.page(at+"/"+pages.NoticePreview, team, d.noticePreview)
	d.page(at+"/"+pages.NoticeRaw, team, d.noticeRaw)
	d.page(at+"/"+pages.NoticeLedger, may|disclosure.Admin, d.noticeLedger)
	for do, step := range d.noticeSteps() {
		d.form(at+"/"+do, may, 0, d.noticeStep(do, step))
	}
	d.form(at+"/"+pages.NoticeFreeze, may, 0, d.freeze)
	d.form(at+"/"+pages.NoticeSign, may, 0, d.sign)
	d.form(at+"/"+pages.NoticeApprove, may, 0, d.approve)
	d.page(at+"/"+pages.NoticeSend, may, d.sendPage)
	d.form(at+"/"+pages.NoticeSend, may, 0, d.stepUp(d.send))
	d.form(at+"/"+pages.NoticeResend, may, 0, d.stepUp(d.resend))
	d.form(at+"/"+pages.NoticeSettle, may, 0, d.settle)
}

// theNotice finds the notice of the path in its release.
func (d *Desk) theNotice(v *visit) (*disclosure.Release, *disclosure.Notice, error) {
	r, err := d.theRelease(v)
	if err != nil {
		return nil, nil, err
	}
	n := r.Notice(disclosure.NoticeID(v.PathValue("notice")))
	if n == nil {
		return nil, nil, disclosure.ErrNotFound
	}
	return r, n, nil
}

func (d *Desk) noticeRead(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	view, err := d.noticeView(v, r, n)
	if err != nil {
		return err
	}
	return v.render(pages.Notice(view))
}

func (d *Desk) noticeLedger(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	view, err := d.noticeView(v, r, n)
	if err != nil {
		return err
	}
	return server.Fragment(v.w, v.Request, pages.NoticeDeliveries(view))
}

// noticeChange is one change a form of a notice asks for. done is a key of
// flashes.
type noticeChange struct {
	done   string
	change func(v *visit, r *disclosure.Release, n *disclosure.Notice) error
}

func (d *Desk) noticeSteps() map[string]noticeChange {
	now := d.c.DB.Now
	return map[string]noticeChange{
		pages.NoticeSave: {"saved", func(v *visit, r *disclosure.Release, n *disclosure.Notice) error {
			f := noticeForm(v)
			err := r.EditNotice(n.ID, f.Subject, f.Text, v.by, now())
			var at time.Time
			if f.SendAt != "" {
				var wrong error
				if at, wrong = hour(f.SendAt, "UTC"); wrong != nil {
					return all(err, disclosure.Refuse(pages.FieldSendAt, "Write date and hour like 2026-02-03T15:00."))
				}
			}
			return all(err, r.PlanNotice(n.ID, at, v.by, now()))
		}},
		pages.NoticeRedraft: {"drafted", func(v *visit, r *disclosure.Release, n *disclosure.Notice) error {
			l, err := d.draftOf(r, n)
			if err != nil {
				return disclosure.Refuse(pages.FieldText, "The text could not be written: "+err.Error())
			}
			return r.DraftText(n.ID, l.Subject, l.Text, v.by, now())
		}},
		pages.NoticeConfirm: {"confirmed", func(v *visit, r *disclosure.Release, n *disclosure.Notice) error {
			return r.ConfirmText(n.ID, v.PostFormValue(pages.FieldOutdated), v.by, now())
		}},
		pages.NoticeThaw: {"thawed", func(v *visit, r *disclosure.Release, n *disclosure.Notice) error { return r.Thaw(n.ID, v.by, now()) }},
		pages.NoticeCancel: {"canceled", func(v *visit, r *disclosure.Release, n *disclosure.Notice) error {
			return r.CancelNotice(n.ID, v.by, now())
		}},
	}
}

func noticeForm(v *visit) pages.NoticeDraftForm {
	return pages.NoticeDraftForm{Subject: v.PostFormValue(pages.FieldSubject), SendAt: strings.TrimSpace(v.PostFormValue(pages.FieldSendAt)),
		Text: strings.ReplaceAll(v.PostFormValue(pages.FieldText), "\r\n", "\n")}
}

// noticeStep runs a change; a refusal shows the page again with what was typed.
func (d *Desk) noticeStep(do string, step noticeChange) handler {
	return func(v *visit) error {
		id, notice := disclosure.ReleaseID(v.PathValue("release")), disclosure.NoticeID(v.PathValue("notice"))
		err := d.c.DB.UpdateRelease(v.Context(), v.by, id, func(r *disclosure.Release) error {
			n := r.Notice(notice)
			if n == nil {
				return disclosure.ErrNotFound
			}
			if err := shown(v, r); err != nil {
				return err
			}
			d.writeDrafts(r, v.by) // what the page showed is what is changed
			return step.change(v, r, n)
		})
		if err != nil {
			return d.noticeAgain(v, err, func(view *pages.NoticeView) {
				if do == pages.NoticeSave {
					view.Form = noticeForm(v)
				}
			})
		}
		if v.PostFormValue(pages.FieldThen) == pages.NoticePreview {
			return v.see(pages.NoticeForm(id, notice, pages.NoticePreview))
		}
		return v.flash(pages.NoticePath(id, notice), step.done)
	}
}

// noticeAgain shows the notice with what is wrong; other errors are passed on.
func (d *Desk) noticeAgain(v *visit, err error, keep func(*pages.NoticeView)) error {
	list, err := refused(err)
	if err != nil {
		return err
	}
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	view, err := d.noticeView(v, r, n)
	if err != nil {
		return err
	}
	view.Faults = list
	keep(&view)
	return v.again(pages.Notice(view))
}

func keepNothing(*pages.NoticeView) {}

// writeDrafts lets every draft that nobody edited follow the release. What
// cannot be written is left to the release's preflight to say.
func (d *Desk) writeDrafts(r *disclosure.Release, by disclosure.Caller) {
	r.Follow(func(n *disclosure.Notice) (string, string, error) {
		l, err := d.draftOf(r, n)
		return l.Subject, l.Text, err
	}, by, d.c.DB.Now())
}

// draftOf writes a notice's text from its template, out of what its audience
// may know.
func (d *Desk) draftOf(r *disclosure.Release, n *disclosure.Notice) (letters.Letter, error) {
	lang, brief := r.Policy.Project.Language, r.Brief(n.Audience)
	brief.URL = d.c.GateURL
	change := letters.Change{Brief: brief, Was: n.Was}
	if n.Change == disclosure.ChangeCalledOff {
		return d.c.Letters.CalledOff(lang, change)
	}
	l, err := d.c.Letters.Notice(lang, brief)
	if err != nil || n.Change != disclosure.ChangeMoved {
		return l, err
	}
	moved, err := d.c.Letters.Moved(lang, change)
	if n.Audience == disclosure.ToDistributors {
		moved.Text += "\n" + l.Text
	}
	return moved, err
}

// freeze fixes the bytes, made from the notice as it is locked.
func (d *Desk) freeze(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	from, err := d.sender(v, r, n)
	if err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	now := d.c.DB.Now()
	err = d.c.DB.FreezeNotice(v.Context(), v.by, n.ID, func(w postgres.NoticeWork) ([]byte, []disclosure.Fault, error) {
		if err := shown(v, w.Release); err != nil {
			return nil, nil, err
		}
		d.writeDrafts(w.Release, v.by)
		if lack := w.Release.Missing(disclosure.ToFreeze, n.Audience, disclosure.Facts{}, now); len(lack) > 0 {
			return nil, unusable(w.Recipients, now), nil // refused with everything that is missing
		}
		b, err := d.frozen(w.Release, w.Notice, from, w.Patch)
		return b, unusable(w.Recipients, now), err
	})
	if err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	return v.flash(pages.NoticePath(r.ID, n.ID), "frozen")
}

// maxSignature bounds what is read of an uploaded signature.
const maxSignature = 128 << 10

// sign takes a releaser's detached signature, uploaded or pasted.
func (d *Desk) sign(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	signature, err := readSignature(v)
	if err != nil {
		return err
	}
	allowed, err := d.releasers(v)
	if err != nil {
		return err
	}
	// gpg dates a signature by wall time: what the demo moved is taken off.
	wall := d.c.DB.Wall()
	moved := d.c.DB.Now().Sub(wall)
	err = d.c.DB.SignNotice(v.Context(), v.by, n.ID, func(w postgres.NoticeWork) ([]byte, error) {
		if len(w.Notice.Frozen) == 0 {
			return nil, disclosure.Refuse(pages.FieldSignature, "Freeze the text first.")
		}
		good, err := pgp.CheckReleaserSignature(w.Notice.Frozen, signature, allowed, w.Notice.FrozenAt.Add(-moved), wall)
		var refusal pgp.Refusal
		if errors.As(err, &refusal) {
			return nil, disclosure.Refuse(pages.FieldSignature, refusal.Error())
		}
		if err != nil {
			return nil, err
		}
		if from := fromOf(w.Notice.Frozen); !hasAddress(good.Certificate, from) {
			return nil, disclosure.Refuse(pages.FieldSignature, fmt.Sprintf(
				"The frozen text comes from %s, which is not an address of the key that signed. Freeze it again yourself, or let its sender sign.", from))
		}
		return good.Packet, nil
	})
	if err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	return v.flash(pages.NoticePath(r.ID, n.ID), "signed")
}

// readSignature is the uploaded file, else what was pasted.
func readSignature(v *visit) ([]byte, error) {
	if kind, _, _ := mime.ParseMediaType(v.Header.Get("Content-Type")); kind != "multipart/form-data" {
		return []byte(v.PostFormValue(pages.FieldSignature)), nil
	}
	if err := v.ParseMultipartForm(1 << 20); err != nil {
		return nil, fmt.Errorf("read the form: %w", err)
	}
	f, head, err := v.FormFile(pages.FieldFile)
	if err != nil || head.Size == 0 {
		return []byte(v.FormValue(pages.FieldSignature)), nil
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSignature))
}

// approve binds the member's yes to the digests that the page showed.
func (d *Desk) approve(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	digest, list := v.PostFormValue(pages.FieldDigest), v.PostFormValue(pages.FieldList)
	if err := d.c.DB.ApproveNotice(v.Context(), v.by, n.ID, digest, list); err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	return v.flash(pages.NoticePath(r.ID, n.ID), "approved")
}

func (d *Desk) noticePreview(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	b, err := d.bytesOf(v, r, n)
	if err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	return v.render(pages.Preview(previewOf(d.frame(v, ""), r, n, b)))
}

// noticeRaw sends the very bytes: of a frozen notice those that are signed.
func (d *Desk) noticeRaw(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	b, err := d.bytesOf(v, r, n)
	if err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	attachment(v.w, rawName(n, b))
	v.w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_, err = body(v).Write(b)
	return err
}

// bytesOf are the frozen bytes, or those that freezing would make now.
func (d *Desk) bytesOf(v *visit, r *disclosure.Release, n *disclosure.Notice) ([]byte, error) {
	if len(n.Frozen) > 0 {
		return n.Frozen, nil
	}
	from, err := d.sender(v, r, n)
	if err != nil {
		if _, other := faults(err); other != nil {
			return nil, err
		}
		from = cmp.Or(r.Policy.Contact.Address, d.c.From) // a draft may be looked at before there is a key
	}
	return d.frozen(r, n, from, func(id disclosure.FileID) ([]byte, error) {
		_, b, err := d.c.DB.Patch(v.Context(), v.by, r.ID, id)
		return b, err
	})
}

func (d *Desk) sendPage(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	view, err := d.sendView(v, r, n)
	if err != nil {
		return err
	}
	return v.render(pages.Send(view))
}

// send lets the approved bytes leave for the approved list.
func (d *Desk) send(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	typed, now := v.PostFormValue(pages.FieldTyped), d.c.DB.Now()
	switch {
	case shown(v, r) != nil || v.PostFormValue(pages.FieldDigest) != n.Digest:
		err = disclosure.ErrStale
	case !r.Named(typed):
		err = typedWrong(r.Title)
	default:
		err = d.c.DB.StartSending(v.Context(), v.by, n.ID, func(w postgres.NoticeWork) []disclosure.Fault { return unusable(w.Recipients, now) })
	}
	if err == nil {
		d.c.Wake()
		return v.flash(pages.NoticePath(r.ID, n.ID), "sending")
	}
	list, err := refused(err)
	if err != nil {
		return err
	}
	view, err := d.sendView(v, r, n)
	if err != nil {
		return err
	}
	view.Faults, view.Typed = list, typed
	return v.again(pages.Send(view))
}

// resend queues an uncertain or refused delivery again, with the same Message-ID.
func (d *Desk) resend(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	if err := d.c.DB.Resend(v.Context(), v.by, disclosure.DeliveryID(v.PostFormValue(pages.FieldDelivery))); err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	d.c.Wake()
	return v.flash(pages.NoticePath(r.ID, n.ID), "resent")
}

// settle notes that an uncertain delivery has arrived.
func (d *Desk) settle(v *visit) error {
	r, n, err := d.theNotice(v)
	if err != nil {
		return err
	}
	if err := d.c.DB.Resolve(v.Context(), v.by, disclosure.DeliveryID(v.PostFormValue(pages.FieldDelivery)), true); err != nil {
		return d.noticeAgain(v, err, keepNothing)
	}
	return v.flash(pages.NoticePath(r.ID, n.ID), "settled")
}
