"""What de-identification does with each attribute: the basic profile of PS3.15 table E.1-1.

The profile lists what to remove; here what may stay is listed instead, so that an attribute that
nobody thought of goes. Numbers, codes and defined terms stay where a group may stay at all.
"""

from __future__ import annotations

from collections.abc import Mapping


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Groups of the objects that are written here; of others (visits, requests, signatures, overlays,
# positions on the globe, private ones) nothing stays.
GROUPS = (
    0x0008,
    0x0010,
    0x0018,
    0x0020,
    0x0028,
    0x0040,
    0x0048,
    0x0062,
    0x0066,
    0x0070,
    0x2050,
    0x5200,
    0x7FE0,
)
PATIENT = 0x0010  # a group of which only what is listed below stays
TEXTS = ("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "PN", "AS", "OB", "UN")
TIMES = ("DA", "DT", "TM")

# What is a code, made by the software, or names a product.
KEPT = _names(
    """
    AlgorithmName AlgorithmParameters AlgorithmSource AlgorithmVersion
    CodeMeaning CodeValue CodingSchemeDesignator CodingSchemeName CodingSchemeRegistry
    CodingSchemeResponsibleOrganization CodingSchemeVersion LongCodeValue MappingResourceName
    URNCodeValue
    ContentDescription ContributionDescription DerivationDescription DimensionDescriptionLabel
    FrameComments ImageComments ImagedNucleus LUTExplanation LUTLabel ModalityLUTType
    PositionReferenceIndicator RescaleType SegmentAlgorithmName SegmentDescription SegmentLabel
    SeriesDescription StackID TextValue TrackingID WindowCenterWidthExplanation
    Manufacturer ManufacturerModelName SoftwareVersions
    PixelData ICCProfile CodingSchemeUID
    """
)

# Attributes that an object of some class must have a value of, and those that may be empty.
REPLACED: Mapping[str, str] = {
    "DeviceSerialNumber": "unknown",
    "PersonName": "unknown",
    "PulseSequenceName": "unknown",
    "ReceiveCoilName": "unknown",
    "TransmitCoilName": "unknown",
}
EMPTIED = _names(
    """
    AccessionNumber AcquisitionContextSequence ContentCreatorName PatientBirthDate PatientSex
    ReferencedPerformedProcedureStepSequence ReferringPhysicianName
    """
)

# Numbers, terms, times and sequences that say whose the image is, or who made it where and when.
REMOVED = _names(
    """
    AcquisitionDate AcquisitionTime InstanceCreationDate InstanceCreationTime ModifyingDeviceID
    SeriesDate SeriesTime TimezoneOffsetFromUTC
    ActualHumanPerformersSequence AdmittingDiagnosesCodeSequence AuthorObserverSequence
    ConsultingPhysicianIdentificationSequence ContentCreatorIdentificationCodeSequence
    CustodialOrganizationSequence GraphicAnnotationSequence InstitutionCodeSequence
    InstitutionalDepartmentTypeCodeSequence IssuerOfAccessionNumberSequence
    OperatorIdentificationSequence ParticipantSequence
    PerformedStationGeographicLocationCodeSequence
    PerformedStationNameCodeSequence PerformingPhysicianIdentificationSequence
    PersonIdentificationCodeSequence PhysiciansOfRecordIdentificationSequence
    PhysiciansReadingStudyIdentificationSequence ReasonForRequestedProcedureCodeSequence
    ReferencedPatientAliasSequence ReferencedPatientSequence ReferencedStudySequence
    ReferringPhysicianIdentificationSequence RequestAttributesSequence
    ScheduledHumanPerformersSequence ScheduledPerformingPhysicianIdentificationSequence
    ScheduledStationGeographicLocationCodeSequence ScheduledStationNameCodeSequence
    TransducerIdentificationSequence UDISequence VerbalSourceIdentifierCodeSequenceTrial
    VerifyingObserverIdentificationCodeSequence VerifyingObserverSequence
    WaveformAnnotationSequence IconImageSequence
    """
)

# In the place of a day and an hour: lawful in every object, and of no exam.
DUMMY_TIMES: Mapping[str, str] = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}

# Options of the profile, PS3.15 E.3: what they retain of the above.
OF_DEVICE = frozenset(("StationName", "DeviceSerialNumber"))
OF_PATIENT = frozenset(("PatientAge", "PatientSex", "PatientSize", "PatientWeight"))
OF_DATES = frozenset(("TimezoneOffsetFromUTC",))

# Items of structured content that go, by the code (DCM) of their name, PS3.16 TID 1003 to 1010:
# who observed and for whom, and the observed patient.
CONTENT = _names("121009 121017 121020 121021 121022 121029 121030 121031 121040")
CONTENT_OF_DEVICE = frozenset(("121016",))
CONTENT_OF_PATIENT = frozenset(("121032", "121033"))
