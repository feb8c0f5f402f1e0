package desk

import (
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/web/ui"
)

// placed says where the parts of a case's message are.
func (v CaseView) placed(m MessageView) MessageView {
	m.Number, m.TakeBackAt = v.Case.Number, CaseForm(v.Case.Number, CaseTakeBack)
	return m
}

// messages are those of the lane shown, or of all lanes by time.
func (v CaseView) messages() []MessageView {
	var all []MessageView
	for _, l := range v.Lanes {
		if v.Lane.Kind == "" || v.Lane == l.Lane {
			for _, m := range l.Messages {
				m.Author = ui.Visible(m.Author)
				if m.Reader == "" {
					m.Reader = l.Reader
				}
				all = append(all, m)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b MessageView) int { return a.At.Compare(b.At) })
	return all
}

// opens reports whether a lane's composer stands open: its lane is the one
// shown, or something was typed into it.
func (v CaseView) opens(l LaneView) bool {
	return l.Draft != "" || v.Lane.Kind != "" && v.Lane == l.Lane
}

func laneTabs(v CaseView) []ui.Tab {
	t := v.Words().Case
	whole := 0
	for _, l := range v.Lanes {
		whole += l.Count
	}
	tabs := []ui.Tab{{Label: t.All, Href: CasePath(v.Case.Number), Count: whole, Current: v.Lane.Kind == ""}}
	for _, l := range v.Lanes {
		label := l.Reader
		if l.Lane.Kind == disclosure.LaneTeam {
			label = t.Team
		}
		tabs = append(tabs, ui.Tab{Label: label, Href: CaseLane(v.Case.Number, l.Lane), Count: l.Count, Current: v.Lane == l.Lane})
	}
	return tabs
}

func wayButton(t ui.CaseTexts, l LaneView) string {
	switch l.Way {
	case WayClear:
		return ui.Say(t.SendClear, ui.Visible(l.Reader))
	case WayMailbox:
		return ui.Say(t.SendMailbox, ui.Visible(l.Reader))
	}
	return ui.Say(t.SendEncrypted, ui.Visible(l.Reader))
}

func wayHint(t ui.CaseTexts, w Way) string {
	switch w {
	case WayClear:
		return t.WayClear
	case WayMailbox:
		return t.WayMailbox
	}
	return t.WayEncrypted
}

func seconds(now, until time.Time) int {
	return max(0, int(until.Sub(now).Round(time.Second)/time.Second))
}

func lines(all []string) string { return strings.Join(all, "\n") }

func stepID(s CaseStep) string {
	id := "form-" + s.Do
	if s.To != "" {
		id += "-" + string(s.To)
	}
	return id
}

func verdicts(t *ui.Texts) []ui.Option {
	all := []ui.Option{{Label: t.Desk.Choose}}
	for _, v := range disclosure.Verdicts {
		all = append(all, ui.Option{Value: string(v), Label: v.Words()})
	}
	return all
}

func tracks() []ui.Option {
	var all []ui.Option
	for _, t := range disclosure.Tracks {
		all = append(all, ui.Option{Value: string(t), Label: string(t)})
	}
	return all
}

func effects(t ui.CaseTexts) []ui.Option {
	return []ui.Option{
		{Value: string(disclosure.EffectUnknown), Label: t.EffectUnknown},
		{Value: string(disclosure.Affects), Label: t.EffectAffected},
		{Value: string(disclosure.Unaffected), Label: t.EffectUnaffected},
	}
}

func wishes(t ui.CaseTexts) []ui.Option {
	return []ui.Option{
		{Value: string(disclosure.CreditUnset), Label: t.CreditOptionUnset},
		{Value: string(disclosure.CreditYes), Label: t.CreditOptionYes},
		{Value: string(disclosure.CreditNo), Label: t.CreditOptionNo},
	}
}

func creditLine(t ui.CaseTexts, c disclosure.Credit) string {
	switch c.Wish {
	case disclosure.CreditYes:
		return ui.Say(t.CreditYes, c.Text)
	case disclosure.CreditNo:
		return t.CreditNo
	}
	return t.CreditUnset
}

func affectedOf(all []disclosure.Affected, series string) disclosure.Affected {
	for _, a := range all {
		if a.Series == series {
			return a
		}
	}
	return disclosure.Affected{Series: series, Effect: disclosure.EffectUnknown}
}

func affectedLine(t ui.CaseTexts, all []disclosure.Affected) string {
	var series []string
	for _, a := range all {
		switch a.Effect {
		case disclosure.Affects:
			series = append(series, a.Series)
		case disclosure.Unaffected:
			series = append(series, a.Series+" "+t.EffectUnaffected)
		}
	}
	return strings.Join(series, ", ")
}

func audienceWords(t ui.NoticeTexts, a disclosure.Audience) string {
	switch a {
	case disclosure.ToAnnounceAhead:
		return t.AudienceAhead
	case disclosure.ToDistributors:
		return t.AudienceDistributors
	case disclosure.ToReporters:
		return t.AudienceReporters
	case disclosure.ToAnnounce:
		return t.AudienceAnnounce
	case disclosure.ToOSS:
		return t.AudienceOSS
	}
	return string(a)
}

func signerWords(t ui.NoticeTexts, s disclosure.Signer) string {
	switch s {
	case disclosure.SignedByTeam:
		return t.SignerTeam
	case disclosure.SignedByReleaser:
		return t.SignerReleaser
	}
	return t.SignerNobody
}

// tallyWords counts deliveries in words, in the order of their life: "3 sent,
// 1 uncertain".
func tallyWords(tally map[disclosure.DeliveryState]int) string {
	var parts []string
	for _, s := range disclosure.DeliveryStates {
		if n := tally[s]; n > 0 {
			parts = append(parts, ui.Say("%d %s", n, string(s)))
		}
	}
	return strings.Join(parts, ", ")
}

func recipientName(t ui.ReleaseTexts, r LedgerRow) string {
	if r.Name != "" {
		return r.Name
	}
	return ui.Say(t.Recipient, r.Place)
}
