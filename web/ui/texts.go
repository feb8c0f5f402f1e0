package ui

// Texts is every text of every page, in one language. Verbs (%s, %d) keep
// their order. A second language is a second value of this type.
type Texts struct {
	Lang string // BCP 47

	Common     CommonTexts
	Gate       GateTexts
	Home       HomeTexts
	Report     ReportTexts
	Receipt    ReceiptTexts
	Mailbox    MailboxTexts
	Upcoming   UpcomingTexts
	Advisories AdvisoriesTexts
	Advisory   AdvisoryTexts
	Paused     PausedTexts
	GateError  GateErrorTexts
	Request    RequestTexts
	Intake     IntakeTexts
	Send       SendTexts

	Desk        DeskTexts
	SignIn      SignInTexts
	Inbox       InboxTexts
	Figures     FiguresTexts
	Case        CaseTexts
	Release     ReleaseTexts
	Notice      NoticeTexts
	Distributor DistributorTexts
	Application ApplicationTexts
	Outbox      OutboxTexts
	Member      MemberTexts
	Admin       AdminTexts
	DeskError   DeskErrorTexts
}

// English is the first language.
var English = Texts{
	Lang: "en",

	Common:     englishCommon,
	Gate:       englishGate,
	Home:       englishHome,
	Report:     englishReport,
	Receipt:    englishReceipt,
	Mailbox:    englishMailbox,
	Upcoming:   englishUpcoming,
	Advisories: englishAdvisories,
	Advisory:   englishAdvisory,
	Paused:     englishPaused,
	GateError:  englishGateError,
	Request:    englishRequest,
	Intake:     englishIntake,
	Send:       englishSend,

	Desk:        englishDesk,
	SignIn:      englishSignIn,
	Inbox:       englishInbox,
	Figures:     englishFigures,
	Case:        englishCase,
	Release:     englishRelease,
	Notice:      englishNotice,
	Distributor: englishDistributor,
	Application: englishApplication,
	Outbox:      englishOutbox,
	Member:      englishMember,
	Admin:       englishAdmin,
	DeskError:   englishDeskError,
}
