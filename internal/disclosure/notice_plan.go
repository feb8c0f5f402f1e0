package disclosure

import "time"

// PlanNotice sets when an audience is to be told; zero: when a releaser sends
// it. No text changes, so that what was approved stays so.
func (r *Release) PlanNotice(id NoticeID, at time.Time, by Caller, now time.Time) error {
	if err := r.may(by); err != nil {
		return err
	}
	n := r.Notice(id)
	if n == nil {
		return ErrNotFound
	}
	at = at.UTC()
	switch {
	case n.SendAt.UTC().Truncate(time.Minute).Equal(at.Truncate(time.Minute)):
		return nil
	case n.State == NoticeSending || n.State == NoticeSent || n.State == NoticeCanceled:
		return Refuse("state", noNoticeWay(n.State, NoticeDraft))
	case !n.Deadline.IsZero() && at.After(n.Deadline):
		return Refuse("send_at", "The notice is void after "+n.Deadline.UTC().Format("2006-01-02 15:04 UTC")+". Plan it for an earlier hour.")
	}
	n.SendAt = at
	r.sortNotices()
	when := "when a releaser sends it"
	if !at.IsZero() {
		when = at.Format("2006-01-02 15:04 UTC")
	}
	r.record(EventPlanned, by, now, "Notice to %s planned: %s", n.Audience.Words(), when)
	return nil
}
