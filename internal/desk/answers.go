package desk

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

// letterOptions are the letters an answer may begin from, as the case stands.
func letterOptions(t ui.CaseTexts, c *disclosure.Case) []ui.Option {
	var list []ui.Option
	if c.State == disclosure.Closed && c.Verdict != "" {
		list = append(list, ui.Option{Value: "closed-" + string(c.Verdict), Label: ui.Say(t.LetterClosed, c.Verdict.Words())})
	}
	for _, name := range letters.Answers {
		label := t.Letters[name]
		if label == "" {
			label = name
		}
		list = append(list, ui.Option{Value: name, Label: label})
	}
	return list
}

// draft fills a letter for one reporter. What that reporter may not know is
// not given to it: of a release only the date they were told.
func (d *Desk) draft(v *visit, c *disclosure.Case, r disclosure.Reporter, name, reason, link string) (letters.Letter, error) {
	p, err := d.c.DB.Policy(v.Context(), c.PolicyVersion)
	if err != nil {
		return letters.Letter{}, err
	}
	a := letters.Answer{Project: p.Project, Contact: p.Contact.Address, Member: v.by.Name, Verdict: c.Verdict, Ack: p.Ack.Within.Words(),
		URL: d.c.GateURL, CVE: c.CVE, At: r.ToldDate, Cited: c.Cited, Link: link}
	for _, x := range p.Reasons {
		if x.Name == reason && x.Verdict == c.Verdict {
			a.Reason = x.Text
		}
	}
	if c.Release == nil {
		a.At = disclosure.Reporter{}.ToldDate
	}
	lang := r.Language
	if lang == "" {
		lang = p.Project.Language
	}
	verdict, closing := strings.CutPrefix(name, "closed-")
	switch {
	case closing && c.State == disclosure.Closed && verdict == string(c.Verdict):
		return d.c.Letters.Closing(lang, a)
	case slices.Contains(letters.Answers, name), name == invitation && link != "":
		return d.c.Letters.Answer(lang, name, a)
	}
	return letters.Letter{}, disclosure.ErrNotFound
}

const invitation = "mailbox-invitation"

// ways says how an answer travels in each lane, and what can be done where it
// would travel unencrypted.
func (d *Desk) ways(v *visit, c *disclosure.Case, view *pages.CaseView) error {
	q := v.URL.Query()
	p, err := d.c.DB.Policy(v.Context(), c.PolicyVersion)
	if err != nil {
		return err
	}
	for i := range view.Lanes {
		l := &view.Lanes[i]
		r := c.Reporter(disclosure.ReporterID(l.Lane.ID))
		if l.Lane.Kind != disclosure.LaneReporter || r == nil {
			continue
		}
		l.Letters = letterOptions(view.Words().Case, c)
		if name := q.Get("letter"); name != "" && v.Method == "GET" && view.Lane == l.Lane {
			letter, err := d.draft(v, c, *r, name, q.Get("reason"), "")
			if err == nil {
				l.Letter, l.Draft = name, letter.Text
			} else if !errors.Is(err, disclosure.ErrNotFound) {
				return err
			}
		}
		setWay(l, r, p.Reporter, view.Words().Case)
	}
	d.offered(v, c, view)
	return nil
}

// setWay: by mailbox, by encrypted mail, or in clear as far as the policy goes.
func setWay(l *pages.LaneView, r *disclosure.Reporter, p disclosure.ReporterPolicy, t ui.CaseTexts) {
	switch {
	case r.Mailbox != "":
		l.Way = pages.WayMailbox
		return
	case r.Address == "":
		l.Way, l.NoWay = pages.WayNone, t.NoWayAtAll
		return
	case len(r.Key) > 0:
		l.Way = pages.WayEncrypted
		return
	}
	l.Unencrypted = true
	safe := l.Letter != "" && slices.Contains(p.Safe, l.Letter)
	switch p.ClearMail {
	case "ask":
		l.Way, l.Safe, l.Offers = pages.WayClear, safe, true
	case "safe":
		l.Offers = true
		if safe {
			l.Way, l.Safe = pages.WayClear, true
			return
		}
		l.Way, l.NoWay = pages.WayNone, t.NoWaySafe
	default:
		l.Way, l.NoWay = pages.WayNone, t.NoWayNever
	}
}

// wordForWord reports whether what is sent is the letter it began from.
func (d *Desk) wordForWord(v *visit, c *disclosure.Case, in written) bool {
	r := c.Reporter(disclosure.ReporterID(in.laneID))
	if in.letter == "" || r == nil || len(in.files) > 0 {
		return false
	}
	letter, err := d.draft(v, c, *r, in.letter, "", "")
	return err == nil && strings.TrimSpace(letter.Text) == strings.TrimSpace(in.text)
}

// inviteReporter mails a reporter without a key the link by which they make a mailbox.
// It waits its 30 seconds like every answer.
func (d *Desk) inviteReporter(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	id := disclosure.ReporterID(v.PostFormValue(pages.FieldReporter))
	r := c.Reporter(id)
	if r == nil {
		return disclosure.ErrNotFound
	}
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(id)}
	err = func() error {
		token, until, err := d.c.DB.InviteToMailbox(v.Context(), v.by, c.ID, id)
		if err != nil {
			return err
		}
		known := *r
		known.ToldDate = until
		asIf := *c
		asIf.Release = &disclosure.CaseRelease{}
		letter, err := d.draft(v, &asIf, known, invitation, "", d.c.GateURL+"/mailbox?invite="+url.QueryEscape(token))
		if err != nil {
			return err
		}
		return d.c.DB.Reply(v.Context(), v.by, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID, Lane: lane,
			Text: letter.Text, Letter: invitation, Safe: true, Clear: true})
	}()
	if err != nil {
		return d.caseAgain(v, c, err, func(view *pages.CaseView) { view.Lane = lane })
	}
	d.c.Wake()
	return v.flash(pages.CaseLane(c.Number, lane), "replying")
}

// reporterKey accepts a key a member has of a reporter, got by other means or
// found among the case's files.
func (d *Desk) reporterKey(v *visit, c *disclosure.Case) error {
	cert, err := outsideKey(v.PostFormValue(pages.FieldKey), d.c.DB.Now())
	if err != nil {
		return err
	}
	return c.SetReporterKey(disclosure.ReporterID(v.PostFormValue(pages.FieldReporter)), cert.Binary(), cert.Fingerprint(), v.by, d.c.DB.Now())
}

// outsideKey reads one certificate of somebody outside that can be encrypted to.
func outsideKey(text string, now time.Time) (*pgp.Certificate, error) {
	certs, err := pgp.ParseCertificates([]byte(text))
	switch {
	case err != nil:
		return nil, disclosure.Refuse(pages.FieldKey, sentence(err))
	case len(certs) != 1:
		return nil, disclosure.Refuse(pages.FieldKey, "Give one key at a time; here are "+strconv.Itoa(len(certs))+".")
	}
	if wrong := certs[0].CanEncrypt(now); wrong != nil {
		return nil, disclosure.Refuse(pages.FieldKey, sentence(wrong))
	}
	return certs[0], nil
}

// afterClosing is where a member goes on once a case is closed: the letter for
// the first reporter who can be answered stands ready.
func (d *Desk) afterClosing(v *visit, c *disclosure.Case) string {
	verdict := v.PostFormValue(pages.FieldVerdict)
	for _, r := range c.Reporters {
		if r.Reachable() && verdict != string(disclosure.Spam) {
			path := pages.CaseLane(c.Number, disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(r.ID)}) + "&letter=closed-" + url.QueryEscape(verdict)
			if reason := v.PostFormValue(pages.FieldCanned); reason != "" {
				path += "&reason=" + url.QueryEscape(reason)
			}
			return path
		}
	}
	return pages.CasePath(c.Number)
}

// otherCase finds the case a form names by number, for this caller.
func (d *Desk) otherCase(v *visit) (*disclosure.Case, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(v.PostFormValue(pages.FieldOf)), "#"))
	if err != nil || n < 1 || n > 1<<31-1 {
		return nil, disclosure.Refuse(pages.FieldOf, "Write the number of the other case, like 42.")
	}
	c, err := d.c.DB.CaseByNumber(v.Context(), v.by, n)
	if errors.Is(err, disclosure.ErrNotFound) {
		return nil, disclosure.Refuse(pages.FieldOf, "There is no case #"+strconv.Itoa(n)+".")
	}
	return c, err
}

// merge makes this case part of another; split undoes it, from either page.
func (d *Desk) merge(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	into, err := d.otherCase(v)
	if err == nil {
		err = d.c.DB.MergeCases(v.Context(), v.by, c.ID, into.ID)
	}
	if err != nil {
		return d.caseAgain(v, c, err, func(*pages.CaseView) {})
	}
	d.c.Wake()
	return v.flash(pages.CasePath(into.Number), "merged")
}

func (d *Desk) split(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	other, err := d.otherCase(v)
	if err == nil {
		from, into := other, c
		if c.Merged == other.ID {
			from, into = c, other
		}
		err = d.c.DB.SplitCases(v.Context(), v.by, from.ID, into.ID)
		other = from
	}
	if err != nil {
		return d.caseAgain(v, c, err, func(*pages.CaseView) {})
	}
	d.c.Wake()
	return v.flash(pages.CasePath(other.Number), "split")
}

// related loads what stands beside a case: likely duplicates, what came of the
// same people before, and what it was merged with.
func (d *Desk) related(v *visit, c *disclosure.Case, view *pages.CaseView) error {
	p, err := d.c.DB.Policy(v.Context(), c.PolicyVersion)
	if err != nil {
		return err
	}
	for _, r := range p.Reasons {
		view.Reasons = append(view.Reasons, ui.Option{Value: r.Name, Label: ui.Say("%s (%s)", r.Name, r.Verdict.Words())})
	}
	if c.Merged != "" {
		if other, err := d.c.DB.Case(v.Context(), v.by, c.Merged); err == nil {
			view.MergedInto = other.Number
		} else if !errors.Is(err, disclosure.ErrNotFound) {
			return err
		}
	}
	for _, r := range c.Reporters {
		if len(r.Origins) == 0 {
			continue
		}
		other, err := d.c.DB.Case(v.Context(), v.by, r.Origins[len(r.Origins)-1])
		if errors.Is(err, disclosure.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !slices.Contains(view.MergedHere, other.Number) {
			view.MergedHere = append(view.MergedHere, other.Number)
		}
	}
	earlier, err := d.c.DB.Earlier(v.Context(), v.by, c.ID)
	if err != nil {
		return err
	}
	for _, e := range earlier {
		row := pages.EarlierCase{Number: e.Number, Title: e.Title, State: e.State, Verdict: e.Verdict, Received: e.Received, Same: e.Same}
		if r := c.Reporter(e.Reporter); r != nil {
			row.Who = r.Label()
		}
		view.Earlier = append(view.Earlier, row)
	}
	if c.Over() {
		return nil
	}
	hits, titles, err := d.similar(v.Context(), v.by, c)
	for _, h := range hits {
		view.Likely = append(view.Likely, pages.LikelyCase{Number: int(h.ID), Title: titles[h.ID], Why: h.Why})
	}
	return err
}
