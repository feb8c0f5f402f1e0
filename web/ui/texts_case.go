package ui

// SignInTexts is sign-in, invitation, unlock and step-up..
type SignInTexts struct {
	NameHint           string
	Title              string
	Name               string
	Password           string
	Code               string
	CodeHint           string
	Button             string
	Invite             string
	InviteText         string
	InvitePassword     string
	InvitePasswordHint string
	InviteAgain        string
	InviteSecret       string
	InviteSecretHint   string
	InviteLink         string
	InviteButton       string
	InviteGone         string
	InviteGoneText     string
	Unlock             string
	UnlockText         string
	UnlockSince        string
	UnlockPass         string
	UnlockHint         string
	UnlockButton       string
	StepUp             string
	StepUpText         string
	StepUpPlain        string
	StepUpButton       string
	StepUpKept         string
	StepUpDrop         string
}

// InboxTexts is the inbox..
type InboxTexts struct {
	Title       string
	States      string
	Filter      string
	Search      string
	SearchHint  string
	Owner       string
	OwnerAny    string
	OwnerNone   string
	Channel     string
	ChannelAny  string
	Level       string
	LevelAny    string
	Apply       string
	Clear       string
	Left        string
	State       string
	Case        string
	Protection  string
	Age         string
	Untitled    string
	Unread      string
	Restricted  string
	Attention   string
	NoClock     string
	Empty       string
	EmptyText   string
	EmptyFilter string
	Cases       string
}

// CaseTexts is the page of a case..
type CaseTexts struct {
	Title                string
	Untitled             string
	Lanes                string
	All                  string
	Team                 string
	Conversation         string
	NoMessages           string
	Note                 string
	NoteStays            string
	NoteText             string
	NoteButton           string
	Reply                string
	ReplyText            string
	ReplyFiles           string
	ReadBy               string
	SendMailbox          string
	SendEncrypted        string
	SendClear            string
	WayMailbox           string
	WayEncrypted         string
	WayClear             string
	Held                 string
	From                 string
	To                   string
	NoteBy               string
	Waiting              string
	WaitingText          string
	Seconds              string
	TakeBack             string
	Back                 string
	Failed               string
	Original             string
	OriginalHint         string
	Checked              string
	CheckedHint          string
	SuppliedBy           string
	SuppliedHint         string
	TryAgain             string
	TryAgainHint         string
	OpenWith             string
	OpenWithPhrase       string
	OpenWithHint         string
	OpenWithButton       string
	Supply               string
	SupplyText           string
	SupplyHint           string
	SupplyButton         string
	NextStep             string
	NextNone             string
	Due                  string
	DueNone              string
	DueKept              string
	What                 string
	Severity             string
	Affected             string
	CVE                  string
	Class                string
	Release              string
	ReleaseNone          string
	PublicName           string
	PublicNameHint       string
	Track                string
	NotSet               string
	Who                  string
	Owner                string
	Reporters            string
	Credit               string
	CreditYes            string
	CreditNo             string
	CreditUnset          string
	CanSee               string
	CanSeeAll            string
	Acknowledge          string
	AcknowledgeHint      string
	Acknowledged         string
	Assign               string
	AssignMe             string
	Change               string
	SetTitle             string
	SetTitleHint         string
	SetTitleButton       string
	SeverityLevel        string
	SeverityVector       string
	SeverityWhy          string
	SeverityButton       string
	AffectedSeries       string
	AffectedEffect       string
	AffectedVersions     string
	EffectUnknown        string
	EffectAffected       string
	EffectUnaffected     string
	AffectedButton       string
	CreditOf             string
	CreditWish           string
	CreditText           string
	CreditButton         string
	CreditOptionUnset    string
	CreditOptionYes      string
	CreditOptionNo       string
	CVEHint              string
	CVEButton            string
	TrackButton          string
	Move                 string
	MoveTo               string
	Close                string
	CloseVerdict         string
	CloseWhy             string
	CloseWhyHint         string
	CloseOf              string
	CloseButton          string
	Reopen               string
	Closed               string
	Public               string
	PublicHint           string
	PublicTitle          string
	PublicSummary        string
	PublicDescription    string
	PublicImpact         string
	PublicRemedy         string
	PublicWorkaround     string
	PublicReferences     string
	PublicReferencesHint string
	PublicButton         string
	PublicEmpty          string
	Files                string
	FilesNone            string
	FileShow             string
	FileDownload         string
	FileHint             string
	FileTooBig           string
	File                 string
	Timeline             string
	Restrict             string
	RestrictText         string
	RestrictOn           string
	RestrictButton       string
	Attention            string
	Received             string
	Channel              string
	AddTo                string
	Letters              map[string]string
	LetterFrom           string
	LetterFill           string
	LetterClosed         string
	DraftKept            string
	ClearWarning         string
	ClearLetter          string
	ClearOnRecord        string
	NoWayAtAll           string
	NoWayNever           string
	NoWaySafe            string
	AskKey               string
	InviteMailbox        string
	OffersText           string
	GiveKey              string
	GiveKeyField         string
	GiveKeyHint          string
	GiveKeyButton        string
	OfferedKey           string
	OfferedNames         string
	OfferedUse           string
	OfferedUseless       string
	OfferedOther         string
	OfferedNow           string
	OfferedNew           string
	OfferedRenewed       string
	OfferedButton        string
	Related              string
	Likely               string
	LikelyWhy            string
	Earlier              string
	EarlierSame          string
	EarlierWho           string
	Merge                string
	MergeText            string
	MergeOf              string
	MergeButton          string
	MergedInto           string
	MergedHere           string
	SplitOff             string
	SplitOther           string
	Withdrew             string
	WithdrewText         string
	CloseCited           string
	CloseCitedHint       string
	CloseReason          string
	CitedAs              string
}

var englishSignIn = SignInTexts{
	Title:              "Sign in",
	Name:               "Mail address",
	NameHint:           "The one you were invited at.",
	Password:           "Password",
	Code:               "One-time code",
	CodeHint:           "Six digits from your authenticator.",
	Button:             "Sign in",
	Invite:             "Welcome, %s",
	InviteText:         "You are invited as %s. Choose a password, add the secret to your authenticator, and prove it with a code.",
	InvitePassword:     "New password",
	InvitePasswordHint: "At least 12 characters. A sentence is good.",
	InviteAgain:        "The same password again",
	InviteSecret:       "Secret for your authenticator",
	InviteSecretHint:   "Type it in, or open the link on the device that has your authenticator.",
	InviteLink:         "Open in an authenticator",
	InviteButton:       "Set password and sign in",
	InviteGone:         "This link is not valid",
	InviteGoneText:     "It was used, has expired, or never was. Ask an admin for a new one.",
	Unlock:             "Unlock",
	UnlockText:         "The vault is locked. Reports are accepted and sealed; nothing can be read until somebody unlocks it.",
	UnlockSince:        "Locked since",
	UnlockPass:         "Passphrase",
	UnlockHint:         "Of any slot, or the recovery phrase.",
	UnlockButton:       "Unlock",
	StepUp:             "Confirm it is you",
	StepUpText:         "A fresh code is needed %s. It holds for ten minutes.",
	StepUpPlain:        "A fresh code is needed for this step. It holds for ten minutes.",
	StepUpButton:       "Confirm",
	StepUpKept:         "Nothing was done yet. What you typed is kept on this page, and goes on with your code.",
	StepUpDrop:         "Go back without it",
}

var englishInbox = InboxTexts{
	Title:       "Inbox",
	States:      "States",
	Filter:      "Filter",
	Search:      "Words",
	SearchHint:  "Title, number; of open cases also text, reporter, CVE id.",
	Owner:       "Owner",
	OwnerAny:    "anybody",
	OwnerNone:   "nobody",
	Channel:     "Channel",
	ChannelAny:  "any",
	Level:       "Severity",
	LevelAny:    "any",
	Apply:       "Apply",
	Clear:       "Show all",
	Left:        "Time left",
	State:       "State",
	Case:        "Case",
	Protection:  "Protection",
	Age:         "Age",
	Untitled:    "Not titled yet",
	Unread:      "new",
	Restricted:  "restricted",
	Attention:   "needs attention",
	NoClock:     "no promise runs",
	Empty:       "Nothing is waiting.",
	EmptyText:   "Reports come in through the gate:",
	EmptyFilter: "Nothing matches.",
	Cases:       "Cases, the nearest promise first",
}

var englishCase = CaseTexts{
	LetterFrom:     "Begin from a letter",
	LetterFill:     "Fill it in",
	LetterClosed:   "why it is closed: %s",
	DraftKept:      "What you typed, to copy",
	ClearWarning:   "This will travel unencrypted: we have no key of this reporter.",
	ClearLetter:    "This letter goes unencrypted as it stands: it gives nothing away. Once changed, it does not.",
	ClearOnRecord:  "Send it unencrypted. This is kept on record.",
	NoWayAtAll:     "This reporter left no way to be answered.",
	NoWayNever:     "We have no key of this reporter, and the policy lets nothing travel unencrypted. Enter a key that you got by other means.",
	NoWaySafe:      "What you write would travel unencrypted, and the policy does not allow that. Begin from a letter that gives nothing away, ask for a key, or invite the reporter to a mailbox.",
	AskKey:         "Ask for a key",
	InviteMailbox:  "Invite to a mailbox",
	OffersText:     "The invitation goes out in clear and says nothing of the report. Its link works once; the code is made at the reporter’s side.",
	GiveKey:        "Enter a key of this reporter",
	GiveKeyField:   "Armored public key",
	GiveKeyHint:    "Compare the fingerprint with them by another way first. From then on they are never written to in clear.",
	GiveKeyButton:  "Use this key",
	OfferedKey:     "A public key came with this message:",
	OfferedNames:   "It calls itself",
	OfferedUse:     "Use this key for replies",
	OfferedUseless: "Nothing can be encrypted to it: %s",
	OfferedOther:   "We have another key of this reporter. Compare by another way first: whoever sent this message may be somebody else.",
	OfferedNow:     "The key in use:",
	OfferedNew:     "The key that came:",
	OfferedRenewed: "It is the key in use, in another form: renewed, perhaps.",
	OfferedButton:  "Encrypt replies to this key",
	Related:        "Related",
	Likely:         "Likely the same",
	LikelyWhy:      "In common: %s",
	Earlier:        "Came before",
	EarlierSame:    "The very same bytes came.",
	EarlierWho:     "Also from %s.",
	Merge:          "Merge into another case",
	MergeText:      "This case closes as its duplicate. Each reporter keeps thread, mailbox, credit and time, and sees nothing of the others. It can be undone.",
	MergeOf:        "Number of the other case",
	MergeButton:    "Merge",
	MergedInto:     "Merged into #%d. Its reporters and what they say are there.",
	MergedHere:     "#%d was merged into this case.",
	SplitOff:       "Split it off again",
	SplitOther:     "Split #%d off again",
	Withdrew:       "%s withdrew the report.",
	WithdrewText:   "Nothing is closed by it: the flaw may be real. Close the case as withdrawn, or go on.",
	CloseCited:     "Page of the documentation",
	CloseCitedHint: "What the verdict rests on; the reporter is told it.",
	CloseReason:    "Reason, in the policy’s words",
	CitedAs:        "documented at %s",
	Letters: map[string]string{
		"acknowledgment": "we have read it", "need-more": "a question", "accepted": "accepted", "patch-check": "please check the patch",
		"planned-date": "the planned date", "ask-key": "may we have a key?",
	},
	Title:                "Case",
	Untitled:             "Not titled yet",
	Lanes:                "Lanes",
	All:                  "All",
	Team:                 "Team notes",
	Conversation:         "Conversation",
	NoMessages:           "Nothing has been said here.",
	Note:                 "Write a team note",
	NoteStays:            "Stays in the team.",
	NoteText:             "Note",
	NoteButton:           "Keep as a team note",
	Reply:                "Write to %s",
	ReplyText:            "Text",
	ReplyFiles:           "Files",
	ReadBy:               "Read by %s",
	SendMailbox:          "Send to %s, encrypted",
	SendEncrypted:        "Send to %s, encrypted",
	SendClear:            "Send to %s, unencrypted",
	WayMailbox:           "It is sealed into their mailbox; only their code opens it.",
	WayEncrypted:         "It is mailed, encrypted to their key.",
	WayClear:             "This will travel unencrypted. Say nothing of the defect.",
	Held:                 "It leaves after 30 seconds; until then you can take it back.",
	From:                 "From %s",
	To:                   "To %s",
	NoteBy:               "Note by %s",
	Waiting:              "leaves in",
	WaitingText:          "Not gone yet: it leaves in",
	Seconds:              "seconds",
	TakeBack:             "Take it back",
	Back:                 "taken back; nobody outside saw it",
	Failed:               "could not be sent; look at the outbox",
	Original:             "Original as received",
	OriginalHint:         "Hostile text: bytes as a stranger sent them. It is only ever downloaded.",
	Checked:              "The mail server says:",
	CheckedHint:          "This is its word about the sender, and decides nothing here.",
	SuppliedBy:           "%s supplied this text",
	SuppliedHint:         "Nothing proves that it is what was sent.",
	TryAgain:             "Try to open it again",
	TryAgainHint:         "Import the key it is for (postern key import), then try again. The original is kept.",
	OpenWith:             "Open with a passphrase",
	OpenWithPhrase:       "Passphrase of the message",
	OpenWithHint:         "Its sender knows it. Let them tell you by another way than this mail. It is used this once and kept nowhere.",
	OpenWithButton:       "Open the message",
	Supply:               "Supply its text",
	SupplyText:           "What it says",
	SupplyHint:           "For a member who can read the original, or was told by its sender. Your name stands above it.",
	SupplyButton:         "Keep this text",
	NextStep:             "Next",
	NextNone:             "Nothing is to be done now.",
	Due:                  "Due",
	DueNone:              "No promise runs.",
	DueKept:              "kept",
	What:                 "What it is",
	Severity:             "Severity",
	Affected:             "Affected",
	CVE:                  "CVE",
	Class:                "Class",
	Release:              "Release",
	ReleaseNone:          "in none yet",
	PublicName:           "Public name",
	PublicNameHint:       "reserved; public only with the advisory",
	Track:                "Track",
	NotSet:               "not set",
	Who:                  "Who",
	Owner:                "Owner",
	Reporters:            "Reporters",
	Credit:               "Credit",
	CreditYes:            "yes, as “%s”",
	CreditNo:             "no",
	CreditUnset:          "no wish yet, so nobody is named",
	CanSee:               "Can see it",
	CanSeeAll:            "every member but auditors",
	Acknowledge:          "Acknowledge",
	AcknowledgeHint:      "Stops the clock of the first answer. Write to the reporter below.",
	Acknowledged:         "Acknowledged by %s",
	Assign:               "Set the owner",
	AssignMe:             "Take it",
	Change:               "Change",
	SetTitle:             "Title",
	SetTitleHint:         "Inside only; the advisory has its own.",
	SetTitleButton:       "Save the title",
	SeverityLevel:        "Level",
	SeverityVector:       "CVSS vector",
	SeverityWhy:          "Why",
	SeverityButton:       "Save the severity",
	AffectedSeries:       "Series",
	AffectedEffect:       "Effect",
	AffectedVersions:     "Versions",
	EffectUnknown:        "not investigated",
	EffectAffected:       "affected",
	EffectUnaffected:     "not affected",
	AffectedButton:       "Save what is affected",
	CreditOf:             "Credit of %s",
	CreditWish:           "Wish",
	CreditText:           "Words to print",
	CreditButton:         "Save the credit",
	CreditOptionUnset:    "not answered",
	CreditOptionYes:      "yes",
	CreditOptionNo:       "no",
	CVEHint:              "CVE-2026-1234",
	CVEButton:            "Save CVE and class",
	TrackButton:          "Save the track",
	Move:                 "Move",
	MoveTo:               "Move to %s",
	Close:                "Close",
	CloseVerdict:         "Verdict",
	CloseWhy:             "Why",
	CloseWhyHint:         "For the team. Next, a letter that tells the reporter the verdict stands ready for you to send; for spam there is none.",
	CloseOf:              "Number of the other case",
	CloseButton:          "Close the case",
	Reopen:               "Reopen",
	Closed:               "Closed: %s",
	Public:               "What the public will read",
	PublicHint:           "Nothing of this is public before the release is published. Longer texts are Markdown.",
	PublicTitle:          "Title",
	PublicSummary:        "Summary",
	PublicDescription:    "Description",
	PublicImpact:         "Impact",
	PublicRemedy:         "What to do",
	PublicWorkaround:     "If one cannot upgrade",
	PublicReferences:     "References",
	PublicReferencesHint: "One address a line.",
	PublicButton:         "Save the public text",
	PublicEmpty:          "Not written yet.",
	Files:                "Files",
	FilesNone:            "No files.",
	FileShow:             "Show",
	FileDownload:         "Download",
	FileHint:             "Files are only ever downloaded; what they claim to be is not trusted.",
	FileTooBig:           "Too long to show here, or not text. Download it.",
	File:                 "File",
	Timeline:             "Timeline",
	Restrict:             "Restrict",
	RestrictText:         "To members not named here, a restricted case does not exist.",
	RestrictOn:           "Restricted to the members below and the owner",
	RestrictButton:       "Save who can see it",
	Attention:            "Needs attention:",
	Received:             "Received",
	Channel:              "by %s",
	AddTo:                "Add to a release",
}
