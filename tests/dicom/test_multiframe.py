from __future__ import annotations

from pydicom import Dataset

from gadgetron_qsm.dicom.multiframe import move_derivation


def test_what_describes_single_images_goes_and_the_derivation_stays_in_the_comments():
    dataset = Dataset()
    dataset.ImageComments = "Magnetic susceptibility in ppb."
    dataset.DerivationDescription = "mask: bet"
    dataset.DerivationCodeSequence = [Dataset()]
    dataset.SourceImageSequence = [Dataset()]
    move_derivation(dataset)
    assert [element.keyword for element in dataset] == ["ImageComments"]
    assert dataset.ImageComments == "Magnetic susceptibility in ppb. mask: bet"
