 void @"gemm_f32_2x8_generic_px_tail"(i64 %".1", i64 %".2", i64 %".3", i64 %".4", i64 %".5", i64 %".6", i64 %".7", i64 %".8", i64 %".9", i64 %".10", i64 %".11", i64 %".12", i64 %".13", i64 %".14", i64 %".15", i64 %".16", i64 %".17", i64 %".18", i64 %".19", i64 %".20", i64 %".21", i64 %".22")
{
.24:
  %".25" = icmp slt i64 %".13", 4
  %".26" = select  i1 %".25", i64 %".13", i64 4
  %".27" = trunc i64 %".26" to i32
  %".28" = insertelement <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, i32 %".27", i32 0
  %".29" = shufflevector <4 x i32> %".28", <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".30" = icmp slt <4 x i32> <i32 0, i32 1, i32 2, i32 3>, %".29"
  %".300" = alloca <4 x float>, align 16
  %".350" = alloca <4 x float>, align 16
  br label %"loop"
loop:
  %".32" = phi  i64 [0, %".24"], [%".401", %"after.7.endif.endif"]
  %".33" = phi  i64 [%".2", %".24"], [%".395", %"after.7.endif.endif"]
  %".34" = phi  i64 [%".4", %".24"], [%".396", %"after.7.endif.endif"]
  %".35" = phi  i64 [%".6", %".24"], [%".397", %"after.7.endif.endif"]
  %".36" = phi  i64 [%".9", %".24"], [%".398", %"after.7.endif.endif"]
  %".37" = phi  i64 [%".10", %".24"], [%".399", %"after.7.endif.endif"]
  %".38" = phi  i64 [%".15", %".24"], [%".400", %"after.7.endif.endif"]
  %".39" = inttoptr i64 %".3" to i8*
  %".40" = inttoptr i64 %".33" to i8*
  %".41" = inttoptr i64 %".34" to i8*
  %".42" = inttoptr i64 %".35" to i8*
  call void @"llvm.prefetch.p0"(i8* %".42", i32 1, i32 3, i32 1)
  %".44" = getelementptr i8, i8* %".42", i64 16
  call void @"llvm.prefetch.p0"(i8* %".44", i32 1, i32 3, i32 1)
  %".46" = getelementptr i8, i8* %".42", i64 %".7"
  call void @"llvm.prefetch.p0"(i8* %".46", i32 1, i32 3, i32 1)
  %".48" = getelementptr i8, i8* %".46", i64 16
  call void @"llvm.prefetch.p0"(i8* %".48", i32 1, i32 3, i32 1)
  %".50" = getelementptr i8, i8* %".46", i64 %".7"
  %".51" = inttoptr i64 %".38" to i8*
  %".52" = ashr i64 %".1", 1
  %".53" = and i64 %".1", 1
  br label %"head"
head:
  %".55" = phi  i64 [0, %"loop"], [%".111", %"body"]
  %".56" = phi  i8* [%".39", %"loop"], [%".109", %"body"]
  %".57" = phi  i8* [%".41", %"loop"], [%".110", %"body"]
  %".58" = phi  i8* [%".40", %"loop"], [%".58", %"body"]
  %".59" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %"loop"], [%".103", %"body"]
  %".60" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %"loop"], [%".104", %"body"]
  %".61" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %"loop"], [%".107", %"body"]
  %".62" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %"loop"], [%".108", %"body"]
  %".63" = icmp slt i64 %".55", %".52"
  br i1 %".63", label %"body", label %"after"
body:
  %".65" = bitcast i8* %".56" to i64*
  %".66" = load i64, i64* %".65", align 8
  %".67" = getelementptr i8, i8* %".58", i64 %".66"
  %".68" = bitcast i8* %".67" to <4 x float>*
  %".69" = load <4 x float>, <4 x float>* %".68", align 4
  %".70" = getelementptr i8, i8* %".67", i64 16
  %".71" = bitcast i8* %".70" to <4 x float>*
  %".72" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".71", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".73" = bitcast i8* %".57" to float*
  %".74" = load float, float* %".73", align 4
  %".75" = getelementptr i8, i8* %".57", i64 4
  %".76" = bitcast i8* %".75" to float*
  %".77" = load float, float* %".76", align 4
  %".78" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".74", i32 0
  %".79" = shufflevector <4 x float> %".78", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".80" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".79", <4 x float> %".69", <4 x float> %".59")
  %".81" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".79", <4 x float> %".72", <4 x float> %".60")
  %".82" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".77", i32 0
  %".83" = shufflevector <4 x float> %".82", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".84" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".83", <4 x float> %".69", <4 x float> %".61")
  %".85" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".83", <4 x float> %".72", <4 x float> %".62")
  %".86" = getelementptr i8, i8* %".56", i64 8
  %".87" = getelementptr i8, i8* %".57", i64 8
  %".88" = bitcast i8* %".86" to i64*
  %".89" = load i64, i64* %".88", align 8
  %".90" = getelementptr i8, i8* %".58", i64 %".89"
  %".91" = bitcast i8* %".90" to <4 x float>*
  %".92" = load <4 x float>, <4 x float>* %".91", align 4
  %".93" = getelementptr i8, i8* %".90", i64 16
  %".94" = bitcast i8* %".93" to <4 x float>*
  %".95" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".94", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".96" = bitcast i8* %".87" to float*
  %".97" = load float, float* %".96", align 4
  %".98" = getelementptr i8, i8* %".87", i64 4
  %".99" = bitcast i8* %".98" to float*
  %".100" = load float, float* %".99", align 4
  %".101" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".97", i32 0
  %".102" = shufflevector <4 x float> %".101", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".103" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".102", <4 x float> %".92", <4 x float> %".80")
  %".104" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".102", <4 x float> %".95", <4 x float> %".81")
  %".105" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".100", i32 0
  %".106" = shufflevector <4 x float> %".105", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".107" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".106", <4 x float> %".92", <4 x float> %".84")
  %".108" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".106", <4 x float> %".95", <4 x float> %".85")
  %".109" = getelementptr i8, i8* %".86", i64 8
  %".110" = getelementptr i8, i8* %".87", i64 8
  %".111" = add i64 %".55", 1
  br label %"head"
after:
  br label %"head.1"
head.1:
  %".114" = phi  i64 [0, %"after"], [%".147", %"body.1"]
  %".115" = phi  i8* [%".56", %"after"], [%".145", %"body.1"]
  %".116" = phi  i8* [%".57", %"after"], [%".146", %"body.1"]
  %".117" = phi  i8* [%".58", %"after"], [%".117", %"body.1"]
  %".118" = phi  <4 x float> [%".59", %"after"], [%".139", %"body.1"]
  %".119" = phi  <4 x float> [%".60", %"after"], [%".140", %"body.1"]
  %".120" = phi  <4 x float> [%".61", %"after"], [%".143", %"body.1"]
  %".121" = phi  <4 x float> [%".62", %"after"], [%".144", %"body.1"]
  %".122" = icmp slt i64 %".114", %".53"
  br i1 %".122", label %"body.1", label %"after.1"
body.1:
  %".124" = bitcast i8* %".115" to i64*
  %".125" = load i64, i64* %".124", align 8
  %".126" = getelementptr i8, i8* %".117", i64 %".125"
  %".127" = bitcast i8* %".126" to <4 x float>*
  %".128" = load <4 x float>, <4 x float>* %".127", align 4
  %".129" = getelementptr i8, i8* %".126", i64 16
  %".130" = bitcast i8* %".129" to <4 x float>*
  %".131" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".130", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".132" = bitcast i8* %".116" to float*
  %".133" = load float, float* %".132", align 4
  %".134" = getelementptr i8, i8* %".116", i64 4
  %".135" = bitcast i8* %".134" to float*
  %".136" = load float, float* %".135", align 4
  %".137" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".133", i32 0
  %".138" = shufflevector <4 x float> %".137", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".139" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".138", <4 x float> %".128", <4 x float> %".118")
  %".140" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".138", <4 x float> %".131", <4 x float> %".119")
  %".141" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".136", i32 0
  %".142" = shufflevector <4 x float> %".141", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".143" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".142", <4 x float> %".128", <4 x float> %".120")
  %".144" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".142", <4 x float> %".131", <4 x float> %".121")
  %".145" = getelementptr i8, i8* %".115", i64 8
  %".146" = getelementptr i8, i8* %".116", i64 8
  %".147" = add i64 %".114", 1
  br label %"head.1"
after.1:
  %".149" = inttoptr i64 %".35" to i8*
  %".150" = icmp eq i64 %".8", 0
  br i1 %".150", label %"then", label %"after.2"
then:
  %".152" = bitcast i8* %".149" to <4 x float>*
  %".153" = load <4 x float>, <4 x float>* %".152", align 4
  %".154" = fadd <4 x float> %".118", %".153"
  %".155" = getelementptr i8, i8* %".149", i64 16
  %".156" = bitcast i8* %".155" to <4 x float>*
  %".157" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".156", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".158" = fadd <4 x float> %".119", %".157"
  %".159" = getelementptr i8, i8* %".149", i64 %".7"
  %".160" = bitcast i8* %".159" to <4 x float>*
  %".161" = load <4 x float>, <4 x float>* %".160", align 4
  %".162" = fadd <4 x float> %".120", %".161"
  %".163" = getelementptr i8, i8* %".159", i64 16
  %".164" = bitcast i8* %".163" to <4 x float>*
  %".165" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".164", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".166" = fadd <4 x float> %".121", %".165"
  %".167" = getelementptr i8, i8* %".159", i64 %".7"
  br label %"after.2"
after.2:
  %".169" = phi  <4 x float> [%".118", %"after.1"], [%".154", %"then"]
  %".170" = phi  <4 x float> [%".119", %"after.1"], [%".158", %"then"]
  %".171" = phi  <4 x float> [%".120", %"after.1"], [%".162", %"then"]
  %".172" = phi  <4 x float> [%".121", %"after.1"], [%".166", %"then"]
  %".173" = icmp ne i64 %".36", 0
  br i1 %".173", label %"then.1", label %"after.3"
then.1:
  %".175" = inttoptr i64 %".36" to i8*
  %".176" = bitcast i8* %".175" to float*
  %".177" = load float, float* %".176", align 4
  %".178" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".177", i32 0
  %".179" = shufflevector <4 x float> %".178", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".180" = getelementptr i8, i8* %".175", i64 4
  %".181" = bitcast i8* %".180" to float*
  %".182" = load float, float* %".181", align 4
  %".183" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".182", i32 0
  %".184" = shufflevector <4 x float> %".183", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".185" = fadd <4 x float> %".169", %".179"
  %".186" = fadd <4 x float> %".170", %".179"
  %".187" = fadd <4 x float> %".171", %".184"
  %".188" = fadd <4 x float> %".172", %".184"
  br label %"after.3"
after.3:
  %".190" = phi  <4 x float> [%".169", %"after.2"], [%".185", %"then.1"]
  %".191" = phi  <4 x float> [%".170", %"after.2"], [%".186", %"then.1"]
  %".192" = phi  <4 x float> [%".171", %"after.2"], [%".187", %"then.1"]
  %".193" = phi  <4 x float> [%".172", %"after.2"], [%".188", %"then.1"]
  %".194" = icmp ne i64 %".37", 0
  %".195" = inttoptr i64 %".37" to i8*
  br i1 %".194", label %"then.2", label %"after.4"
then.2:
  %".197" = bitcast i8* %".195" to <4 x float>*
  %".198" = load <4 x float>, <4 x float>* %".197", align 4
  %".199" = fadd <4 x float> %".190", %".198"
  %".200" = getelementptr i8, i8* %".195", i64 16
  %".201" = bitcast i8* %".200" to <4 x float>*
  %".202" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".201", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".203" = fadd <4 x float> %".191", %".202"
  %".204" = getelementptr i8, i8* %".195", i64 %".11"
  %".205" = bitcast i8* %".204" to <4 x float>*
  %".206" = load <4 x float>, <4 x float>* %".205", align 4
  %".207" = fadd <4 x float> %".192", %".206"
  %".208" = getelementptr i8, i8* %".204", i64 16
  %".209" = bitcast i8* %".208" to <4 x float>*
  %".210" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".209", i32 4, <4 x i1> %".30", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".211" = fadd <4 x float> %".193", %".210"
  %".212" = getelementptr i8, i8* %".204", i64 %".11"
  br label %"after.4"
after.4:
  %".214" = phi  <4 x float> [%".190", %"after.3"], [%".199", %"then.2"]
  %".215" = phi  <4 x float> [%".191", %"after.3"], [%".203", %"then.2"]
  %".216" = phi  <4 x float> [%".192", %"after.3"], [%".207", %"then.2"]
  %".217" = phi  <4 x float> [%".193", %"after.3"], [%".211", %"then.2"]
  %".218" = icmp eq i64 %".12", 1
  br i1 %".218", label %"then.3", label %"after.5"
then.3:
  %".220" = fcmp olt <4 x float> %".214", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".221" = select  <4 x i1> %".220", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".214"
  %".222" = fcmp olt <4 x float> %".215", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".223" = select  <4 x i1> %".222", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".215"
  %".224" = fcmp olt <4 x float> %".216", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".225" = select  <4 x i1> %".224", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".216"
  %".226" = fcmp olt <4 x float> %".217", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".227" = select  <4 x i1> %".226", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".217"
  br label %"after.5"
after.5:
  %".229" = phi  <4 x float> [%".214", %"after.4"], [%".221", %"then.3"]
  %".230" = phi  <4 x float> [%".215", %"after.4"], [%".223", %"then.3"]
  %".231" = phi  <4 x float> [%".216", %"after.4"], [%".225", %"then.3"]
  %".232" = phi  <4 x float> [%".217", %"after.4"], [%".227", %"then.3"]
  %".233" = icmp eq i64 %".12", 2
  br i1 %".233", label %"then.4", label %"after.6"
then.4:
  %".235" = fcmp olt <4 x float> %".229", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".236" = select  <4 x i1> %".235", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".229"
  %".237" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".229"
  %".238" = select  <4 x i1> %".237", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".236"
  %".239" = fcmp olt <4 x float> %".230", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".240" = select  <4 x i1> %".239", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".230"
  %".241" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".230"
  %".242" = select  <4 x i1> %".241", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".240"
  %".243" = fcmp olt <4 x float> %".231", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".244" = select  <4 x i1> %".243", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".231"
  %".245" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".231"
  %".246" = select  <4 x i1> %".245", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".244"
  %".247" = fcmp olt <4 x float> %".232", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".248" = select  <4 x i1> %".247", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".232"
  %".249" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".232"
  %".250" = select  <4 x i1> %".249", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".248"
  br label %"after.6"
after.6:
  %".252" = phi  <4 x float> [%".229", %"after.5"], [%".238", %"then.4"]
  %".253" = phi  <4 x float> [%".230", %"after.5"], [%".242", %"then.4"]
  %".254" = phi  <4 x float> [%".231", %"after.5"], [%".246", %"then.4"]
  %".255" = phi  <4 x float> [%".232", %"after.5"], [%".250", %"then.4"]
  %".256" = icmp sgt i64 %".12", 2
  br i1 %".256", label %"then.5", label %"after.7"
then.5:
  %".258" = inttoptr i64 %".12" to i8*
  %".259" = bitcast i8* %".258" to float*
  %".260" = load float, float* %".259", align 4
  %".261" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".260", i32 0
  %".262" = shufflevector <4 x float> %".261", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".263" = fmul <4 x float> %".252", %".262"
  %".264" = fcmp olt <4 x float> %".252", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".265" = select  <4 x i1> %".264", <4 x float> %".263", <4 x float> %".252"
  %".266" = inttoptr i64 %".12" to i8*
  %".267" = bitcast i8* %".266" to float*
  %".268" = load float, float* %".267", align 4
  %".269" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".268", i32 0
  %".270" = shufflevector <4 x float> %".269", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".271" = fmul <4 x float> %".253", %".270"
  %".272" = fcmp olt <4 x float> %".253", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".273" = select  <4 x i1> %".272", <4 x float> %".271", <4 x float> %".253"
  %".274" = inttoptr i64 %".12" to i8*
  %".275" = bitcast i8* %".274" to float*
  %".276" = load float, float* %".275", align 4
  %".277" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".276", i32 0
  %".278" = shufflevector <4 x float> %".277", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".279" = fmul <4 x float> %".254", %".278"
  %".280" = fcmp olt <4 x float> %".254", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".281" = select  <4 x i1> %".280", <4 x float> %".279", <4 x float> %".254"
  %".282" = inttoptr i64 %".12" to i8*
  %".283" = bitcast i8* %".282" to float*
  %".284" = load float, float* %".283", align 4
  %".285" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".284", i32 0
  %".286" = shufflevector <4 x float> %".285", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".287" = fmul <4 x float> %".255", %".286"
  %".288" = fcmp olt <4 x float> %".255", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".289" = select  <4 x i1> %".288", <4 x float> %".287", <4 x float> %".255"
  br label %"after.7"
after.7:
  %".291" = phi  <4 x float> [%".252", %"after.6"], [%".265", %"then.5"]
  %".292" = phi  <4 x float> [%".253", %"after.6"], [%".273", %"then.5"]
  %".293" = phi  <4 x float> [%".254", %"after.6"], [%".281", %"then.5"]
  %".294" = phi  <4 x float> [%".255", %"after.6"], [%".289", %"then.5"]
  %".295" = bitcast i8* %".149" to <4 x float>*
  store <4 x float> %".291", <4 x float>* %".295", align 4
  %".297" = getelementptr i8, i8* %".149", i64 16
  %".298" = bitcast <4 x i1> %".30" to i4
  %".299" = zext i4 %".298" to i64
  %".301" = icmp eq i64 %".299", 15
  br i1 %".301", label %"after.7.if", label %"after.7.else", !prof !0
after.7.if:
  %".303" = bitcast i8* %".297" to <4 x float>*
  store <4 x float> %".292", <4 x float>* %".303", align 4
  br label %"after.7.endif"
after.7.else:
  store <4 x float> %".292", <4 x float>* %".300", align 16
  %".307" = call i64 @"llvm.cttz.i64"(i64 %".299", i1 0)
  %".308" = mul i64 %".307", 4
  %".309" = bitcast <4 x float>* %".300" to i8*
  %".310" = getelementptr i8, i8* %".309", i64 %".308"
  %".311" = getelementptr i8, i8* %".297", i64 %".308"
  %".312" = call i64 @"llvm.ctpop.i64"(i64 %".299")
  %".313" = icmp uge i64 %".312", 2
  br i1 %".313", label %"after.7.else.if", label %"after.7.else.else"
after.7.endif:
  %".344" = getelementptr i8, i8* %".149", i64 %".7"
  %".345" = bitcast i8* %".344" to <4 x float>*
  store <4 x float> %".293", <4 x float>* %".345", align 4
  %".347" = getelementptr i8, i8* %".344", i64 16
  %".348" = bitcast <4 x i1> %".30" to i4
  %".349" = zext i4 %".348" to i64
  %".351" = icmp eq i64 %".349", 15
  br i1 %".351", label %"after.7.endif.if", label %"after.7.endif.else", !prof !0
after.7.else.if:
  %".315" = sub i64 %".312", 2
  %".316" = mul i64 %".315", 4
  %".317" = getelementptr i8, i8* %".310", i64 0
  %".318" = bitcast i8* %".317" to <2 x float>*
  %".319" = load <2 x float>, <2 x float>* %".318", align 4
  %".320" = getelementptr i8, i8* %".311", i64 0
  %".321" = bitcast i8* %".320" to <2 x float>*
  store <2 x float> %".319", <2 x float>* %".321", align 4
  %".323" = getelementptr i8, i8* %".310", i64 %".316"
  %".324" = bitcast i8* %".323" to <2 x float>*
  %".325" = load <2 x float>, <2 x float>* %".324", align 4
  %".326" = getelementptr i8, i8* %".311", i64 %".316"
  %".327" = bitcast i8* %".326" to <2 x float>*
  store <2 x float> %".325", <2 x float>* %".327", align 4
  br label %"after.7.else.endif"
after.7.else.else:
  %".330" = icmp uge i64 %".312", 1
  br i1 %".330", label %"after.7.else.else.if", label %"after.7.else.else.else"
after.7.else.endif:
  br label %"after.7.endif"
after.7.else.else.if:
  %".332" = sub i64 %".312", 1
  %".333" = mul i64 %".332", 4
  %".334" = getelementptr i8, i8* %".310", i64 0
  %".335" = bitcast i8* %".334" to <1 x float>*
  %".336" = load <1 x float>, <1 x float>* %".335", align 4
  %".337" = getelementptr i8, i8* %".311", i64 0
  %".338" = bitcast i8* %".337" to <1 x float>*
  store <1 x float> %".336", <1 x float>* %".338", align 4
  br label %"after.7.else.else.endif"
after.7.else.else.else:
  br label %"after.7.else.else.endif"
after.7.else.else.endif:
  br label %"after.7.else.endif"
after.7.endif.if:
  %".353" = bitcast i8* %".347" to <4 x float>*
  store <4 x float> %".294", <4 x float>* %".353", align 4
  br label %"after.7.endif.endif"
after.7.endif.else:
  store <4 x float> %".294", <4 x float>* %".350", align 16
  %".357" = call i64 @"llvm.cttz.i64"(i64 %".349", i1 0)
  %".358" = mul i64 %".357", 4
  %".359" = bitcast <4 x float>* %".350" to i8*
  %".360" = getelementptr i8, i8* %".359", i64 %".358"
  %".361" = getelementptr i8, i8* %".347", i64 %".358"
  %".362" = call i64 @"llvm.ctpop.i64"(i64 %".349")
  %".363" = icmp uge i64 %".362", 2
  br i1 %".363", label %"after.7.endif.else.if", label %"after.7.endif.else.else"
after.7.endif.endif:
  %".394" = getelementptr i8, i8* %".344", i64 %".7"
  %".395" = add i64 %".33", %".17"
  %".396" = add i64 %".34", %".18"
  %".397" = add i64 %".35", %".19"
  %".398" = add i64 %".36", %".20"
  %".399" = add i64 %".37", %".21"
  %".400" = add i64 %".38", %".22"
  %".401" = add i64 %".32", 1
  %".402" = icmp slt i64 %".401", %".16"
  br i1 %".402", label %"loop", label %"done"
after.7.endif.else.if:
  %".365" = sub i64 %".362", 2
  %".366" = mul i64 %".365", 4
  %".367" = getelementptr i8, i8* %".360", i64 0
  %".368" = bitcast i8* %".367" to <2 x float>*
  %".369" = load <2 x float>, <2 x float>* %".368", align 4
  %".370" = getelementptr i8, i8* %".361", i64 0
  %".371" = bitcast i8* %".370" to <2 x float>*
  store <2 x float> %".369", <2 x float>* %".371", align 4
  %".373" = getelementptr i8, i8* %".360", i64 %".366"
  %".374" = bitcast i8* %".373" to <2 x float>*
  %".375" = load <2 x float>, <2 x float>* %".374", align 4
  %".376" = getelementptr i8, i8* %".361", i64 %".366"
  %".377" = bitcast i8* %".376" to <2 x float>*
  store <2 x float> %".375", <2 x float>* %".377", align 4
  br label %"after.7.endif.else.endif"
after.7.endif.else.else:
  %".380" = icmp uge i64 %".362", 1
  br i1 %".380", label %"after.7.endif.else.else.if", label %"after.7.endif.else.else.else"
after.7.endif.else.endif:
  br label %"after.7.endif.endif"
after.7.endif.else.else.if:
  %".382" = sub i64 %".362", 1
  %".383" = mul i64 %".382", 4
  %".384" = getelementptr i8, i8* %".360", i64 0
  %".385" = bitcast i8* %".384" to <1 x float>*
  %".386" = load <1 x float>, <1 x float>* %".385", align 4
  %".387" = getelementptr i8, i8* %".361", i64 0
  %".388" = bitcast i8* %".387" to <1 x float>*
  store <1 x float> %".386", <1 x float>* %".388", align 4
  br label %"after.7.endif.else.else.endif"
after.7.endif.else.else.else:
  br label %"after.7.endif.else.else.endif"
after.7.endif.else.else.endif:
  br label %"after.7.endif.else.endif"
done:
  ret void
}

declare void @"llvm.prefetch.p0"(i8* %".1", i32 %".2", i32 %".3", i32 %".4")

declare <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".1", i32 %".2", <4 x i1> %".3", <4 x float> %".4")

declare <4 x float> @"llvm.fma.v4f32"(<4 x float> %".1", <4 x float> %".2", <4 x float> %".3")

declare i64 @"llvm.cttz.i64"(i64 %".1", i1 %".2")

declare i64 @"llvm.ctpop.i64"(i64 %".1")

!0 = !{ !"branch_weights", i32 99, i32 1 }