package desk

import (
	"slices"
	"strconv"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/mail"
	pages "postern/web/desk"
	"postern/web/ui"
)

// The outbox names the distributors, so it is guarded and logged like the
// private list.
func (d *Desk) outboxRoutes() {
	d.page(pages.PathOutbox, disclosure.Releaser|disclosure.Admin, d.stepUp(d.outbox))
	d.page(pages.PathOutbox+"/{mail}", disclosure.Releaser|disclosure.Admin, d.stepUp(d.keptMail))
}

// outboxRows is how many mails a page of the outbox has.
const outboxRows = 50

func (d *Desk) outbox(v *visit) error {
	view := pages.OutboxView{Desk: d.frame(v, ui.NavOutbox)}
	if d.c.Outbox == nil {
		view.Relay = "the relay"
		return v.render(pages.Outbox(view))
	}
	if err := d.c.DB.OutboxOpened(v.Context(), v.by, "outbox"); err != nil {
		return err
	}
	list, err := d.c.Outbox.List()
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b Mail) int { return b.At.Compare(a.At) })
	from := int(min(number64(v.URL.Query().Get("from")), int64(len(list))))
	for _, m := range list[from:min(from+outboxRows, len(list))] {
		raw, err := d.c.Outbox.Read(m.Name)
		if err != nil {
			continue // sent or removed since it was listed
		}
		view.Rows = append(view.Rows, mailFile(m, raw))
	}
	if from > 0 {
		view.Pager.Newer = pages.PathOutbox + "?from=" + strconv.Itoa(max(0, from-outboxRows))
	}
	if from+outboxRows < len(list) {
		view.Pager.Older = pages.PathOutbox + "?from=" + strconv.Itoa(from+outboxRows)
	}
	return v.render(pages.Outbox(view))
}

func mailFile(m Mail, raw []byte) pages.MailFile {
	return pages.MailFile{Name: m.Name, At: m.At, To: m.To, Size: m.Size, Subject: mail.ReadHeader(raw).Subject}
}

func (d *Desk) keptMail(v *visit) error {
	name := v.PathValue("mail")
	if d.c.Outbox == nil {
		return disclosure.ErrNotFound
	}
	list, err := d.c.Outbox.List()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(m Mail) bool { return m.Name == name })
	if i < 0 {
		return disclosure.ErrNotFound
	}
	raw, err := d.c.Outbox.Read(name)
	if err != nil {
		return err
	}
	if err := d.c.DB.OutboxOpened(v.Context(), v.by, name); err != nil {
		return err
	}
	view := pages.MailView{Desk: d.frame(v, ui.NavOutbox), Mail: mailFile(list[i], raw)}
	if view.Cut = len(raw) > maxShown; view.Cut {
		raw = raw[:maxShown]
	}
	view.Text = strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\r\n", "\n"), "�")
	return v.render(pages.Mail(view))
}
