package ui

// ReleaseTexts is the pages of a release..
type ReleaseTexts struct {
	InZone             string
	PatchReplace       string
	PublishPage        string
	PublishAgree       string
	UrgentCall         string
	UrgentNot          string
	UrgentHint         string
	NoPatchOf          string
	Artefact           string
	ArtefactHint       string
	ArtefactKind       string
	ArtefactURL        string
	ArtefactButton     string
	Title              string
	One                string
	None               string
	NoneText           string
	New                string
	NewTitle           string
	NewTitleHint       string
	NewCases           string
	NewCasesNone       string
	NewButton          string
	ColRelease         string
	ColHour            string
	ColState           string
	ColCases           string
	ColMissing         string
	MissingNone        string
	NoDate             string
	Line               string
	Today              string
	Done               string
	Late               string
	Missing            string
	MissingNothing     string
	Blocks             string
	Notices            string
	NoticesNone        string
	Draft              string
	Ledger             string
	LedgerNone         string
	Recipient          string
	Answered           string
	Attempt            string
	Resend             string
	Settle             string
	UncertainText      string
	Cases              string
	CasesNone          string
	CaseAdd            string
	CaseAddButton      string
	CaseRemove         string
	Versions           string
	VersionOf          string
	VersionsButton     string
	VersionsNone       string
	Patches            string
	PatchesNone        string
	PatchSeries        string
	PatchCase          string
	PatchCaseAll       string
	PatchFile          string
	PatchFileHint      string
	PatchButton        string
	PatchRemove        string
	Plan               string
	PlanAt             string
	PlanZone           string
	PlanZoneHint       string
	PlanReason         string
	PlanReasonHint     string
	PlanUrgent         string
	PlanButton         string
	Replan             string
	CallOff            string
	Begin              string
	BeginHint          string
	Publish            string
	Runbook            string
	StepDone           string
	StepButton         string
	StepLink           string
	Events             string
	SetTitle           string
	SetTitleButton     string
	Rail               string
	Hour               string
	Cancels            string
	PostponeTitle      string
	PostponeText       string
	PostponeQueued     string
	PostponeTold       string
	PostponeButton     string
	CallOffTitle       string
	CallOffText        string
	CallOffButton      string
	PublishTitle       string
	PublishLead        string
	PublishDocuments   string
	PublishNew         string
	PublishChanged     string
	PublishMails       string
	PublishCredits     string
	PublishCreditsNone string
	PublishSecond      string
	PublishButton      string
	PublishName        string
	BackTo             string
}

// NoticeTexts is the pages of a notice..
type NoticeTexts struct {
	SignButton           string
	SignPaste            string
	SignFile             string
	SignDone             string
	SignCommand          string
	SignText             string
	Sign                 string
	Title                string
	Audience             string
	AudienceAhead        string
	AudienceDistributors string
	AudienceReporters    string
	AudienceAnnounce     string
	AudienceOSS          string
	State                string
	SendAt               string
	SendAtAny            string
	Deadline             string
	Signer               string
	SignerTeam           string
	SignerReleaser       string
	SignerNobody         string
	Recipients           string
	RecipientsCount      string
	RecipientsOne        string
	RecipientsNames      string
	InClear              string
	Outdated             string
	OutdatedFrozen       string
	Confirm              string
	Follows              string
	Untold               string
	UntoldText           string
	Text                 string
	Subject              string
	Body                 string
	BodyHint             string
	SendAtField          string
	Save                 string
	SavePreview          string
	Redraft              string
	RedraftHint          string
	Preview              string
	PreviewTitle         string
	PreviewText          string
	PreviewFor           string
	PreviewRaw           string
	Freeze               string
	FreezeHint           string
	Frozen               string
	Thaw                 string
	ThawHint             string
	Approve              string
	ApproveHint          string
	Approvals            string
	ApprovalsNone        string
	ApprovalsNeeded      string
	ApprovedBy           string
	Send                 string
	SendPage             string
	SendTitle            string
	SendLead             string
	SendWhat             string
	SendWho              string
	SendClear            string
	SendButton           string
	SendButtonOne        string
	SendName             string
	BackTo               string
	CancelNotice         string
	CancelHint           string
	StopNotice           string
	StopHint             string
	Problems             string
	Sent                 string
	Tally                string
}

// DistributorTexts is the private list..
type DistributorTexts struct {
	Title        string
	None         string
	NoneText     string
	Count        string
	New          string
	Edit         string
	Name         string
	Address      string
	AddressHint  string
	Group        string
	Note         string
	NoteHint     string
	Key          string
	Keys         string
	KeysNone     string
	KeyField     string
	KeyHint      string
	KeyButton    string
	KeyRemove    string
	Clear        string
	ClearBy      string
	Save         string
	Enroll       string
	Enrolled     string
	Revoked      string
	RevokedTitle string
	Revoke       string
	RevokeText   string
	RevokeLive   string
	RevokeButton string
	ListOk       string
	ColKeys      string
}

// OutboxTexts is kept mail..
type OutboxTexts struct {
	Title       string
	Kept        string
	Relay       string
	None        string
	NoneWaiting string
	Written     string
	To          string
	Subject     string
	Mail        string
	Encrypted   string
}

var englishRelease = ReleaseTexts{
	PublishAgree:       "I agree to publishing this",
	UrgentCall:         "Call it urgent",
	UrgentNot:          "It is not urgent any more",
	UrgentHint:         "Lead, hour and runbook then keep nobody from publishing: for when others know already.",
	NoPatchOf:          "No patch for %s, because",
	Artefact:           "Say where a version is fetched",
	ArtefactHint:       "Stands in the announcements and advisories. Notices that are frozen stay as they are.",
	ArtefactKind:       "What it is: pypi, website, git-tag",
	ArtefactURL:        "Web address",
	ArtefactButton:     "Add it",
	Title:              "Releases",
	One:                "Release",
	None:               "No release is planned.",
	NoneText:           "Accept a case, then gather one or several into a release.",
	New:                "Plan a release",
	NewTitle:           "Title",
	NewTitleHint:       "Inside only.",
	NewCases:           "Cases",
	NewCasesNone:       "No accepted case is free.",
	NewButton:          "Make a draft",
	ColRelease:         "Release",
	ColHour:            "Hour",
	ColState:           "State",
	ColCases:           "Cases",
	ColMissing:         "Missing",
	MissingNone:        "nothing",
	NoDate:             "no date yet",
	Line:               "From today to the hour",
	Today:              "today",
	Done:               "done",
	Late:               "late",
	Missing:            "Still missing",
	MissingNothing:     "Nothing is missing.",
	Blocks:             "blocks %s",
	Notices:            "Notices",
	NoticesNone:        "No notice is planned. They are planned with the date.",
	Draft:              "Draft it",
	Ledger:             "Ledger",
	LedgerNone:         "Nothing has been sent.",
	Recipient:          "recipient %d",
	Answered:           "acknowledged",
	Attempt:            "attempt %d",
	Resend:             "Send again",
	Settle:             "It has arrived",
	UncertainText:      "The server may have it. Sent again, it carries the same Message-ID, so that it shows once.",
	Cases:              "Cases",
	CasesNone:          "No case is in this release.",
	CaseAdd:            "Add a case",
	CaseAddButton:      "Add",
	CaseRemove:         "Take out",
	Versions:           "Versions",
	VersionOf:          "Version of %s",
	VersionsButton:     "Save the versions",
	VersionsNone:       "This policy has no series.",
	Patches:            "Patches",
	PatchesNone:        "No patches.",
	PatchSeries:        "Series",
	PatchCase:          "For case",
	PatchCaseAll:       "the whole release",
	PatchFile:          "Patch files",
	PatchFileHint:      "Kept byte for byte, as git format-patch wrote them.",
	PatchButton:        "Upload",
	PatchRemove:        "Remove",
	Plan:               "Date, hour and zone",
	PlanAt:             "Date and hour",
	PlanZone:           "Zone",
	PlanZoneHint:       "Lead days are counted in it, for example Europe/Vienna.",
	PlanReason:         "Reason",
	PlanReasonHint:     "Needed where the lead is outside the policy.",
	PlanUrgent:         "Urgent: the lead may go down to zero",
	PlanButton:         "Set the date",
	Replan:             "Postpone or move",
	CallOff:            "Call off",
	Begin:              "Begin the day",
	BeginHint:          "Shows the runbook and stops further changes to the texts.",
	Publish:            "Publish",
	Runbook:            "Runbook",
	StepDone:           "Done by %s",
	StepButton:         "Done",
	StepLink:           "Link",
	Events:             "Timeline",
	SetTitle:           "Title",
	SetTitleButton:     "Save the title",
	Rail:               "At a glance",
	Hour:               "Hour",
	Cancels:            "Cancels",
	PostponeTitle:      "Move the hour",
	PostponeText:       "Everything not yet sent stops at once. Approvals are void; notices have to be frozen and approved again.",
	PostponeQueued:     "%d deliveries will be canceled.",
	PostponeTold:       "Told of the old hour, and to be told of the new one",
	PostponeButton:     "Move the hour",
	CallOffTitle:       "Call the release off",
	CallOffText:        "Everything not yet sent stops at once. Its cases go back to accepted, and who was told is told so.",
	CallOffButton:      "Call it off",
	PublishTitle:       "Publish",
	PublishLead:        "What is listed here becomes public at once, and cannot be taken back.",
	PublishDocuments:   "What becomes public",
	PublishNew:         "new",
	PublishChanged:     "changed",
	PublishMails:       "Mail that is queued by it",
	PublishCredits:     "Credited by name",
	PublishCreditsNone: "Nobody is credited.",
	PublishSecond:      "Second member",
	PublishButton:      "Publish now",
	PublishName:        "The release",
	BackTo:             "Back to the release",
	InZone:             "days are counted in %s",
	PatchReplace:       "It replaces the patch of the same name for this series",
	PublishPage:        "As it will stand there: %s",
}

var englishNotice = NoticeTexts{
	SignButton:           "Send the signature",
	SignPaste:            "Or its contents",
	SignFile:             "The .asc file it wrote",
	SignDone:             "It is signed. Another signature replaces this one.",
	SignCommand:          "Command that signs",
	SignText:             "Download the bytes, run this line beside them, and send what it writes.",
	Sign:                 "Sign it with your own key",
	Title:                "Notice",
	Audience:             "For",
	AudienceAhead:        "the announce list, ahead: date and severities",
	AudienceDistributors: "distributors, in confidence",
	AudienceReporters:    "the reporters: the date",
	AudienceAnnounce:     "the announce list, on the day",
	AudienceOSS:          "oss-security, on the day",
	State:                "State",
	SendAt:               "Planned for",
	SendAtAny:            "when a releaser sends it",
	Deadline:             "Void after",
	Signer:               "Signed by",
	SignerTeam:           "the team's key",
	SignerReleaser:       "a releaser's own key",
	SignerNobody:         "nobody",
	Recipients:           "Recipients",
	RecipientsCount:      "%d recipients.",
	RecipientsOne:        "1 recipient.",
	RecipientsNames:      "Their names are shown after your second factor.",
	InClear:              "in clear, accepted by name",
	Outdated:             "The release has changed since this text was written",
	OutdatedFrozen:       "Open it for editing again, then freeze and approve it anew.",
	Confirm:              "The text holds as it is",
	Follows:              "This draft follows the release: it is written again whenever something in it changes, until you edit it.",
	Untold:               "Not reached by this notice",
	UntoldText:           "These reporters have neither a mailbox nor a key, and the date does not travel in clear. Write to them in their case, or invite them to a mailbox.",
	Text:                 "Text",
	Subject:              "Subject",
	Body:                 "Body",
	BodyHint:             "Not re-wrapped. Patches are attached from the release.",
	SendAtField:          "Planned for (UTC)",
	Save:                 "Save the draft",
	SavePreview:          "Save and preview byte for byte",
	Redraft:              "Draft it again from the template",
	RedraftHint:          "What was edited here is lost.",
	Preview:              "Preview byte for byte",
	PreviewTitle:         "As each recipient gets it",
	PreviewText:          "These are the signed bytes, the same for every recipient. Around them each mail has its own address, date and encryption.",
	PreviewFor:           "The copy for %s.",
	PreviewRaw:           "Download the bytes",
	Freeze:               "Freeze the text",
	FreezeHint:           "After that nothing in it changes; it can be approved.",
	Frozen:               "Frozen",
	Thaw:                 "Open it for editing again",
	ThawHint:             "Approvals are dropped.",
	Approve:              "Approve text and list",
	ApproveHint:          "Your approval binds to this digest and to the recipients as they stand. Changing either drops it.",
	Approvals:            "Approvals",
	ApprovalsNone:        "Nobody has approved it.",
	ApprovalsNeeded:      "%d of %d.",
	ApprovedBy:           "by %s",
	Send:                 "Send",
	SendPage:             "Go to the send page",
	SendTitle:            "Send the notice",
	SendLead:             "What is shown here leaves for everybody named below. It cannot be taken back.",
	SendWhat:             "What leaves",
	SendWho:              "To whom",
	SendClear:            "%d of them in clear text.",
	SendButton:           "Send to %d recipients",
	SendButtonOne:        "Send to 1 recipient",
	SendName:             "The release",
	BackTo:               "Back to the notice",
	CancelNotice:         "Cancel this notice",
	CancelHint:           "It is not sent.",
	StopNotice:           "Stop sending",
	StopHint:             "What has not left will not leave. What has left is on record.",
	Problems:             "Before it can be sent",
	Sent:                 "Sent",
	Tally:                "Deliveries",
}

var englishDistributor = DistributorTexts{
	Title:        "Distributors",
	None:         "Nobody is on the private list.",
	NoneText:     "Enroll the first one: a name, one address, and a key.",
	Count:        "%d are on the list. Who they are is shown after your second factor.",
	New:          "Enroll a distributor",
	Edit:         "Distributor",
	Name:         "Name",
	Address:      "Address",
	AddressHint:  "The one address notices go to.",
	Group:        "Group",
	Note:         "Note",
	NoteHint:     "For deciders only.",
	Key:          "Key",
	Keys:         "Keys",
	KeysNone:     "No key. Nothing encrypted can be sent.",
	KeyField:     "Armored OpenPGP public key",
	KeyHint:      "Every key given here opens what this distributor is sent.",
	KeyButton:    "Add this key",
	KeyRemove:    "Remove this key",
	Clear:        "Write in clear text; accepted by me, by name",
	ClearBy:      "Written to in clear, accepted by %s",
	Save:         "Save",
	Enroll:       "Enroll",
	Enrolled:     "Enrolled",
	Revoked:      "Revoked",
	RevokedTitle: "No longer on the list",
	Revoke:       "Revoke",
	RevokeText:   "Takes effect before the next message leaves. No reason has to be given.",
	RevokeLive:   "Something was or will be sent to it in",
	RevokeButton: "Revoke now",
	ListOk:       "usable",
	ColKeys:      "Keys",
}

var englishOutbox = OutboxTexts{
	Title:       "Outbox",
	Kept:        "No relay is configured: mail is kept here and nothing leaves this machine.",
	Relay:       "Mail goes out through %s. What waits is listed here.",
	None:        "No mail has been written.",
	NoneWaiting: "No mail waits.",
	Written:     "Written",
	To:          "To",
	Subject:     "Subject",
	Mail:        "Mail",
	Encrypted:   "The mail stands here as it would have left.",
}
