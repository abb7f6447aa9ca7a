"""What `check` finds in a configuration: form, surroundings of our nodes, settings, archives."""

from __future__ import annotations

import pytest

from gadgetron_qsm import configs
from gadgetron_qsm.check import check
from gadgetron_qsm.errors import QsmError
from tests.check.written import (
    CONNECT,
    EXECUTE,
    READERS,
    WRITERS,
    external,
    gadget,
    prop,
    reader,
    whole,
)

MACHINE = ("versions", "computes on", "clock")


@pytest.fixture
def found(tmp_path):
    """A function that checks a configuration of those nodes, less the machine it runs on."""

    def run(*nodes, **parts):
        path = tmp_path / "site.xml"
        path.write_text(whole(*nodes, **parts))
        return [each for each in check(path) if each.what not in MACHINE]

    return run


@pytest.fixture
def wrong(found):
    """A function that gives what is wrong with a configuration of those nodes, one a line."""

    def run(*nodes, **parts):
        every = found(*nodes, **parts)
        assert {each.what for each in every if each.line} <= {"configuration"}
        wrong = [each for each in every if each.level != "ok"]
        return [f"{each.level} line {each.line}: {each.text}" for each in wrong]

    return run


def only(lines, level, *says):
    """Assert that one thing is wrong, and what."""
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{level} line ")
    for part in says:
        assert part in lines[0]


@pytest.mark.parametrize("name", configs.names())
def test_our_own_configurations_have_no_faults(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    every = list(check(tmp_path.joinpath(name).relative_to(tmp_path)))
    assert {each.level for each in every} == {"ok"}
    assert "target" in {each.what for each in every} or name == "qsm_connect"


def test_targets_and_settings_are_told(found):
    told = found(
        external(EXECUTE.format("susceptibility"), prop("inversion.iterations", "7")),
        external(EXECUTE.format("deliver"), prop("identity.patient_id", "P-17")),
    )
    assert [(each.what, each.text) for each in told] == [
        ("target", "susceptibility"),
        ("target", "deliver"),
        ("settings", "inversion.iterations = 7"),
        ("settings", "identity.patient_id = (given)"),
    ]


def test_a_resident_process_is_named(found):
    told = {each.what: each.text for each in found(external(CONNECT))}
    assert told["resident process"] == "recon:18000"


def test_nodes_of_others_are_not_ours_to_check(wrong):
    theirs = '<external><execute name="theirs" target="anything" type="python"/></external>'
    resident = external(CONNECT, prop("their.setting", "1"))
    assert wrong(theirs, resident, external(EXECUTE.format("qsm"))) == []


def test_every_fault_is_told_with_its_line(wrong):
    nodes = external(
        EXECUTE.format("qsm"),
        "\n" + prop("inversion.iteration", "7"),
        "\n" + prop("inversion.iterations", "70000"),
        "\n" + prop("coils.smoothing_mm", "wide"),
        "\n" + prop("deliver.maps", "chi,iron"),
    )
    first, second, third, fourth, fifth = wrong("<gadgett/>", nodes)
    assert first.startswith("error line 5: the server stops at <gadgett> in <stream>; did you mean")
    assert "line 6: unknown setting 'inversion.iteration'; did you mean 'inversion.iter" in second
    assert "line 7: setting 'inversion.iterations' = '70000': it must be from 1 to 10000" in third
    assert "line 8: setting 'coils.smoothing_mm' = 'wide': " in fourth
    assert "line 9: setting 'deliver.maps' = 'iron': " in fifth


@pytest.mark.parametrize("broken", ["<stream>", "<!DOCTYPE a>"])
def test_broken_xml_is_refused(tmp_path, broken):
    (tmp_path / "site.xml").write_text(broken)
    with pytest.raises(QsmError, match="the configuration"):
        list(check(tmp_path / "site.xml"))


def test_the_old_form_is_told_apart_with_what_to_do(tmp_path):
    (tmp_path / "site.xml").write_text("<gadgetronStreamConfiguration/>")
    with pytest.raises(QsmError, match=r"old form .* begin with <configuration><version>2"):
        list(check(tmp_path / "site.xml"))


def test_another_root_is_refused(tmp_path):
    (tmp_path / "site.xml").write_text("<ismrmrdHeader/>")
    with pytest.raises(QsmError, match="its root is <ismrmrdHeader>"):
        list(check(tmp_path / "site.xml"))


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("<version>1</version>", "<version> says '1'"),
        ("<version> 2</version>", "<version> says ' 2'"),
        ("", "there is no <version>"),
    ],
)
def test_the_version_is_2_without_spaces_as_the_server_compares_it(wrong, version, says):
    only(wrong(external(EXECUTE.format("qsm")), version=version), "error", says)


@pytest.mark.parametrize(
    ("node", "level", "says"),
    [
        ("<purestream/>", "error", "stops at <purestream> in <stream>"),
        ("text", "error", "stops at text"),
        ("<gadget><classname>A</classname></gadget>", "error", "<gadget> has no <dll>"),
        ("<gadget><dll>a</dll></gadget>", "error", "<gadget> has no <classname>"),
        ("<gadget><dll> a</dll><classname>A</classname></gadget>", "error", "spaces around 'a'"),
        (gadget("A", "<propperty/>"), "warning", "passes over <propperty> in <gadget>; did you"),
        (gadget("A", '<property name="a"/>'), "error", "a property is written"),
        (gadget("A", '<property name="" value="a"/>'), "error", "an empty name"),
        (
            gadget("A", '<property name="a" value="b"><name>a</name><value>b</value></property>'),
            "error",
            "a property is written",
        ),
        ("<parallelprocess/>", "error", "workers="),
    ],
)
def test_what_the_server_does_not_take_is_told(wrong, node, level, says):
    only(wrong(node, external(EXECUTE.format("qsm"))), level, says)


def test_properties_of_gadgets_may_be_written_in_the_old_way(wrong):
    old = gadget("A", "<property><name>a</name><value>b</value></property>")
    assert wrong(old, external(EXECUTE.format("qsm"))) == []


def test_nodes_inside_of_others_are_looked_at_too(wrong):
    inner = f"<stream key='a'>{external(EXECUTE.format('qms'))}</stream>"
    parallel = f"<parallel>{gadget('B', tag='branch')}{inner}{gadget('M', tag='merge')}</parallel>"
    only(wrong(parallel), "error", "line 5: target 'qms' is unknown; there are qsm, combine")


@pytest.mark.parametrize(
    ("start", "level", "says"),
    [
        (EXECUTE.format("qms"), "error", "target 'qms' is unknown"),
        (EXECUTE.format("qsm") + CONNECT, "error", "either <execute> or <connect>"),
        (EXECUTE.format("qsm").replace('"python"', '"pyhton"'), "error", "did you mean 'python'"),
        (EXECUTE.format("qsm").replace('type="python"', ""), "error", "is of type ''"),
        (EXECUTE.format("qsm").replace("target", "targt"), "error", "target '' is unknown"),
        (CONNECT.replace("18000", "18000/tcp"), "error", "port '18000/tcp'"),
        (CONNECT.replace("18000", "65536"), "error", "port '65536'"),
        (CONNECT.replace("address", "host"), "warning", "passes over host= of <connect>"),
    ],
)
def test_what_starts_or_reaches_us_is_checked(wrong, start, level, says):
    lines = wrong(external(start))
    assert any(line.startswith(f"{level} line ") and says in line for line in lines), lines


@pytest.mark.parametrize(
    "nodes",
    [
        [external("")],
        [gadget("A")],
        [external(EXECUTE.format("qsm").replace("qsm.gadgets", "qsm.gadget"))],
    ],
)
def test_a_chain_that_does_not_call_us_is_told(wrong, nodes):
    assert "calls gadgetron-qsm" in "".join(wrong(*nodes))


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (["combine"], "without susceptibility, deliver no map is delivered"),
        (["combine", "susceptibility"], "without deliver no map is delivered"),
        (["susceptibility", "measure"], "without deliver no map is delivered"),
        (["deliver", "combine"], "combine, susceptibility, measure, deliver in turn"),
        (["combine", "measure", "deliver"], "combine, susceptibility, measure, deliver in turn"),
        (["qsm", "deliver"], "there is qsm alone, or"),
    ],
)
def test_targets_that_do_not_go_together_are_told(wrong, targets, says, tmp_path):
    asked = {"measure": [prop("measure.sources", "true"), prop("measure.folder", str(tmp_path))]}
    nodes = [external(EXECUTE.format(target), *asked.get(target, [])) for target in targets]
    only(wrong(*nodes), "error", says)


def test_a_gadget_that_has_nothing_to_measure_is_told(wrong):
    targets = ("combine", "susceptibility", "measure", "deliver")
    lines = wrong(*(external(EXECUTE.format(target)) for target in targets))
    only(lines, "error", "nothing is asked for; name measure.atlas")


def test_a_server_that_would_drop_the_maps_is_told(wrong):
    lines = wrong(external(EXECUTE.format("qsm")), writers="<writers/>")
    only(lines, "error", "drop the maps without a word", "<classname>ImageWriter</classname>")
    dicom = WRITERS.replace("ImageWriter", "DicomImageWriter")
    only(wrong(external(EXECUTE.format("qsm")), writers=dicom), "error", "no ImageWriter")


def test_a_server_that_would_not_read_is_told(wrong):
    qsm = external(EXECUTE.format("qsm"))
    only(wrong(qsm, readers="<readers/>"), "error", "no reader of readouts or images")
    alone = f"<readers>{reader('AcquisitionReader')}</readers>"
    only(wrong(qsm, readers=alone), "warning", "no WaveformReader")
    assert wrong(qsm, readers=f"<readers>{reader('MRIImageReader')}</readers>") == []


def test_readers_and_writers_of_our_node_carry_what_passes(wrong):
    for kind, part, says in (
        ("reader", "AcquisitionReader", "none reads the images"),
        ("writer", "ImageWriter", "none hands us what arrives"),
    ):
        own = f"<{kind}s>{reader(part, kind)}</{kind}s>"
        only(wrong(external(EXECUTE.format("qsm"), after=own)), "error", says)
    every = READERS.replace("WaveformReader", "ImageReader")
    assert wrong(external(EXECUTE.format("qsm"), after=every)) == []


def test_16_bit_images_need_a_reader_of_the_servers(wrong):
    asked = prop("deliver.image_pixels", "int16")
    lines = wrong(external(EXECUTE.format("qsm"), asked))
    only(lines, "error", "<classname>MRIImageReader</classname>")
    own = f"<readers>{reader('MRIImageReader')}</readers>"
    assert wrong(external(EXECUTE.format("qsm"), asked, after=own)) == []


@pytest.mark.parametrize(
    ("classname", "level", "says"),
    [
        ("GenericReconKSpaceFilteringGadget", "warning", "smooths k-space"),
        ("GenericReconKSpaceFilterGadget", "warning", "smooths k-space"),
        ("GenericReconPartialFourierHandlingFilterGadget", "warning", "changes phase"),
        ("GenericReconPartialFourierHandlingPOCSGadget", "warning", "changes phase"),
        ("SimpleReconGadget", "error", "magnitude alone"),
        ("PythonGadget", "error", "write it as <external>"),
        ("GenericReconCartesianReferencePrepGadget", "warning", "average_all_ref_N"),
        ("BucketToBufferGadget", "error", "set N_dimension to contrast"),
    ],
)
def test_gadgets_in_front_that_break_susceptibility_are_named(wrong, classname, level, says):
    qsm = external(EXECUTE.format("qsm"))
    only(wrong(gadget(classname), qsm), level, classname, says)


@pytest.mark.parametrize(
    ("classname", "level", "says"),
    [
        ("DicomFinishGadget", "error", "negative pixels end the scan"),
        ("GenericReconImageArrayScalingGadget", "warning", "changes pixels"),
        ("FloatToUShortGadget", "warning", "changes pixels"),
    ],
)
def test_gadgets_behind_that_break_susceptibility_are_named(wrong, classname, level, says):
    qsm = external(EXECUTE.format("qsm"))
    only(wrong(qsm, gadget(classname)), level, classname, says)
    assert wrong(qsm, gadget("GenericReconKSpaceFilteringGadget")) == []  # of another way


def test_gadgets_between_ours_count_as_behind(wrong):
    between = gadget("AutoScaleGadget")
    ours = [external(EXECUTE.format(target)) for target in ("combine", "susceptibility", "deliver")]
    only(wrong(ours[0], between, *ours[1:]), "warning", "AutoScaleGadget", "changes pixels")


@pytest.mark.parametrize("dimension", ["contrast", "kspace_encode_step_1"])
def test_a_trigger_that_cuts_a_scan_in_pieces_is_told(wrong, dimension):
    trigger = gadget("AcquisitionAccumulateTriggerGadget", prop("trigger_dimension", dimension))
    only(wrong(trigger, external(EXECUTE.format("qsm"))), "error", "leave it empty")


def test_echoes_read_backwards_are_not_turned_in_buffers(found, wrong):
    buffer = gadget("BucketToBufferGadget", prop("N_dimension", "contrast"))
    (told,) = [e for e in found(buffer, external(CONNECT)) if e.what == "configuration"]
    assert (told.level, "monopolar readouts alone" in told.text) == ("ok", True)
    even = external(CONNECT, prop("kspace.reversed_echoes", "even"))
    only(wrong(buffer, even), "error", "kspace.reversed_echoes=even has no effect")


def test_a_property_with_two_values_is_told_where_the_second_stands(wrong):
    twice = (prop("preset", "fast"), "\n" + prop("preset", "standard"))
    only(wrong(external(CONNECT, *twice)), "error", "line 6: property 'preset' is given a second")


def test_nodes_that_contradict_one_another_are_told(wrong):
    nodes = [
        external(EXECUTE.format("susceptibility"), prop("preset", "fast")),
        "\n",
        external(EXECUTE.format("deliver"), prop("preset", "standard")),
    ]
    only(wrong(*nodes), "warning", "line 6: property 'preset' has another value than in line 5")


def test_what_a_gadgetron_cannot_take_is_told_for_those_who_serve(wrong):
    only(wrong(external(CONNECT, prop("deliver.console", "dicom"))), "warning", "takes images")


def test_what_stands_beside_properties_is_told(wrong):
    only(wrong(external(CONNECT, "<prop/>")), "warning", "<prop> is no <property>")


def test_an_archive_that_does_not_answer_is_an_error(found, tmp_path):
    asked = prop("store.nodes", "pacs=ARCHIVE@127.0.0.1:1"), prop("store.outbox", str(tmp_path))
    (archive,) = [each for each in found(external(CONNECT, *asked)) if each.what == "archive"]
    assert archive.level == "error"
    assert archive.text.startswith("pacs: nobody listens at 127.0.0.1:1; ")


@pytest.mark.parametrize(("name", "text"), [("atlas", "no names"), ("controls", "no column sd")])
def test_what_measurements_need_is_read(found, tmp_path, name, text):
    (tmp_path / "template.nii.gz").touch()
    (tmp_path / "controls.csv").write_text("region,age,mean\n")
    path = {"atlas": tmp_path, "controls": tmp_path / "controls.csv"}[name]
    asked = [prop(f"measure.{name}", str(path)), prop("measure.folder", str(tmp_path))]
    if name == "controls":
        asked.append(prop("measure.labels", str(tmp_path / "labels.nii.gz")))
    (told,) = [e for e in found(external(CONNECT, *asked)) if e.what == f"measure.{name}"]
    assert told.level == "error"
    assert text in told.text


def test_a_folder_that_cannot_be_written_is_an_error(found, tmp_path):
    (tmp_path / "file").touch()
    asked = prop("deliver.report_folder", str(tmp_path / "file"))
    (folder,) = [each for each in found(external(CONNECT, asked)) if each.level != "ok"]
    assert (folder.level, folder.what) == ("error", "deliver.report_folder")


def test_the_machine_is_not_tried_for_settings_that_are_wrong(found):
    asked = prop("store.nodes", "pacs=ARCHIVE@127.0.0.1:1"), prop("preset", "slow")
    assert "archive" not in {each.what for each in found(external(CONNECT, *asked))}
